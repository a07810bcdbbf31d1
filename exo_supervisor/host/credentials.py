"""Reads keys and tokens, and keeps them from being printed by accident."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

from exo_supervisor.errors import StartError

_MOST_BYTES = 16 * 1024


@final
class Secret:
    """A key or a token: whatever prints it prints `[secret]`; `where` says whence it came."""

    __slots__ = ("_value", "where")

    def __init__(self, value: str, where: str) -> None:
        self._value = value
        self.where = where

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "[secret]"

    def __format__(self, _spec: str) -> str:
        return "[secret]"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def read_secret(env_name: str, credential: str, environ: Mapping[str, str]) -> Secret | None:
    """Read a secret from the environment, else from systemd's credential; None if neither has it.

    Empty variables and missing files count as not set. Raises StartError, without the content,
    for a file that cannot be read and for text that no HTTP header can carry.
    """
    value = environ.get(env_name, "")
    if env_name and value:
        advice = f"set {env_name} to the bare key"
        return Secret(
            _checked(value, f"the environment variable {env_name}", advice), f"env {env_name}"
        )
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    if not directory or not credential:
        return None
    path = Path(directory, credential)
    content = _read(path)
    if content is None:
        return None
    advice = "write the bare key there, on one line"
    text = content.decode("latin-1")  # never fails; what is not ASCII is refused with the rest
    return Secret(_checked(text, f"the credential {path}", advice), f"credential {credential}")


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as fault:
        why = (fault.strerror if isinstance(fault, OSError) else None) or type(fault).__name__
        raise StartError(
            f"the credential {path} cannot be read: {why.lower()}; "
            "make it a file this user may read, or remove it"
        ) from None
    if len(content) > _MOST_BYTES:
        raise StartError(f"the credential {path} is over {_MOST_BYTES} bytes; is it the right file")
    return content


def _checked(text: str, what: str, advice: str) -> str:
    """Strip one newline at the end; what is left must be a token as RFC 6750 §2.1 has them."""
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise StartError(f"{what} is empty; {advice}, or remove it")
    if value[0] == value[-1] and value[0] in "\"'":
        raise StartError(f"{what} stands in quotes, which are no part of a key; remove them")
    if not all("!" <= character <= "~" for character in value):
        raise StartError(
            f"{what} holds a space, a line break or another character no key has; {advice}"
        )
    return value
