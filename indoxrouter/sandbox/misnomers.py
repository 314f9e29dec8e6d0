"""What is said of a name that is not known."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def complaint(where: str, what: str, given: Iterable[object], known: Collection[str]) -> str | None:
    """About the first of the given names that is not known: those that are near it, or all that are."""
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known)
            ending = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {', '.join(known)}"
            return f"{where} has no {what} {name!r}; {ending}"
    return None
