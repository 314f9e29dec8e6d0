"""A real local router on loopback: the hosted REST API, without a key, a network or a model."""

try:
    import starlette  # noqa: F401 - asked for here, so that a missing one is explained once
    import uvicorn  # noqa: F401
except ImportError as error:
    raise ImportError("the sandbox needs Starlette and uvicorn: pip install starlette uvicorn") from error

from indoxrouter.sandbox.server import Sandbox

__all__ = ["Sandbox"]
