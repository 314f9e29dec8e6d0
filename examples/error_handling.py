"""Errors: one tree of exceptions, and on each what failed, where, and whether to try again."""

from collections.abc import Callable

from _router import connect

from indoxrouter import Client, errors

HELLO = [{"role": "user", "content": "Hello"}]


def attempt(title: str, call: Callable[[], object]) -> None:
    try:
        call()
    except errors.IndoxRouterError as error:  # the root of all errors of the library
        match error:
            case errors.AuthenticationError():
                todo = "check the API key"
            case errors.ModelNotFoundError():
                todo = "choose one of client.models(), or pass fallback_models"
            case errors.ValidationError() | errors.InvalidParametersError():
                todo = "mend the call: it can't succeed as it is"
            case errors.RequestTimeoutError():
                todo = "allow it more time"
            case _:
                todo = "try again later" if error.retryable else "read the message"
        print(f"\n{title}: {type(error).__name__}, status {error.status_code}\n  {error.message}")
        print(f"  request {error.request_id}, outcome {error.outcome}; what to do: {todo}")


with connect() as client:
    attempt("A wrong key", lambda: Client("not-a-key", client.base_url).chat(HELLO))
    attempt("An unknown model", lambda: client.chat(HELLO, model="openai/gpt-0"))
    attempt("Bad input, found before sending", lambda: client.chat([]))
    attempt("Bad input, found by the router", lambda: client.chat(HELLO, max_tokens=-1))
    attempt("A deadline", lambda: client.chat(HELLO, stream=True, deadline=0.1).response())
    answer = client.chat(HELLO, model="openai/gpt-0", fallback_models=["openai/gpt-4o-mini"])
    print(f"\nA fallback: {answer.model} answered after", *(tried.why for tried in answer.attempts[:-1]))
