"""Paths below a home, as a person writes them."""

from collections.abc import Mapping


def expand(path: str, environ: Mapping[str, str]) -> str:
    """Write out `~`, `$HOME` or `${HOME}` at the start of a path; where HOME is unset, nothing."""
    home = environ.get("HOME", "").rstrip("/")
    for sign in ("~", "$HOME", "${HOME}"):
        if home and (path == sign or path.startswith(f"{sign}/")):
            return home + path[len(sign) :]
    return path
