"""A client for a hosted LLM router."""
