"""What the head of an answer may say of where its body ends (RFC 9112, section 6): the same for both libraries."""

from __future__ import annotations

import re
from collections.abc import Sequence

MALFORMED = "it is malformed"
"""What is told of such an answer."""
_LENGTH = re.compile(r"0*[0-9]{1,19}")
"""More digits than that are the length of nothing, and some parsers pass over them."""


def is_clear(codings: Sequence[str], lengths: Sequence[str]) -> bool:
    """Whether all its readers see the body end where the server ends it, of every value of the two headers.

    A coding that can't be undone is refused; "identity", which changes nothing, leaves the end to the connection.
    """
    named = [coding.lower() for coding in codings]
    if named not in ([], [""]):
        return named in (["chunked"], ["identity"]) and not lengths
    return not lengths or (len(lengths) == 1 and _LENGTH.fullmatch(lengths[0].strip()) is not None)
