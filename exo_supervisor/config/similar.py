"""Which known name comes nearest to one that is not known: people mistype."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return the known name that is most like another one; empty where none is `alike` enough."""
    from difflib import get_close_matches  # noqa: PLC0415 -- most files have no fault

    found = get_close_matches(name, known, 1, alike)
    return found[0] if found else ""


def similar(name: str, known: Iterable[str], what: str, otherwise: str = "") -> str:
    """Return a hint that names it, and `otherwise` where there is none."""
    near = nearest(name, known)
    return f"similar {what}: `{near}`" if near else otherwise
