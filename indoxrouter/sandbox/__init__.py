"""A real local router on loopback: the hosted and the OpenAI-compatible API, without a network or a model."""

try:
    import python_multipart  # noqa: F401 - asked for here, so that a missing one is explained once
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError("the sandbox needs more: pip install starlette uvicorn python-multipart") from error

from indoxrouter.sandbox.server import Sandbox

__all__ = ["Sandbox"]
