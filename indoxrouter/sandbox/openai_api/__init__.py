"""The OpenAI-compatible API: the same answers, ledger and faults in the shapes of OpenAI's servers."""
