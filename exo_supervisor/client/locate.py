"""Where the service's socket may be, for the verbs and for programs."""

from collections.abc import Mapping

from exo_supervisor.client.http import Address
from exo_supervisor.client.json_object import Fields, fields
from exo_supervisor.config import where
from exo_supervisor.errors import SupervisorError

_UNSET = 'socket=""'


class UnreadableFileError(SupervisorError):
    """A configuration that somebody named cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the configuration cannot be read: {path}: {reason}")
        self.path, self.reason = path, reason


def socket_paths(flag: str | None, file: str | None, environ: Mapping[str, str]) -> list[str]:
    """List where the socket may be, the likeliest first; one that was named is the only one.

    Another service must not answer in its stead. Raises UnreadableFileError.
    """
    named = flag or _spelled(environ.get(where.SOCKET_VARIABLE, "")) or _configured(file, environ)
    return [where.expand(named, environ)] if named else where.likely_sockets(environ)


def address_of(url: str) -> Address:
    """Read a listener's URL, with a path or without. Raises ValueError."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    if scheme != "http" or not host or not (port.isascii() and port.isdigit()):
        raise ValueError(f"{url!r} is no http://HOST:PORT")
    return host.strip("[]"), int(port)


def _spelled(value: str) -> str:
    """Read a variable that holds a TOML value; a bare path is taken as it stands."""
    if value[:1] not in {'"', "'"}:
        return value
    try:
        return str(_toml(f"it = {value}")["it"])
    except ValueError:
        return value


def _configured(flag: str | None, environ: Mapping[str, str]) -> str:
    """Take `server.socket` from a file; only a file that was named must be there and be TOML."""
    named = where.named_file(flag, environ)
    path = named or where.found_file(environ)
    if path is None:
        return ""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
            text = file.read()
        server = fields(_toml(text).get("server")) if named or _may_name_it(text) else {}
    except (OSError, ValueError, RecursionError) as error:
        if not named:
            return ""
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UnreadableFileError(
            path, reason.lower() if isinstance(error, OSError) else reason
        ) from error
    found = server.get("socket")
    return found if isinstance(found, str) else ""


def _may_name_it(text: str) -> bool:
    """Tell whether a file may name the socket: `tomllib` takes longer than all else of a verb."""
    lines = (line.strip() for line in text.replace("socket_", "").splitlines())
    telling = (line for line in lines if line[:1] != "#" and line.replace(" ", "") != _UNSET)
    return any("socket" in line or "\\" in line for line in telling)


def _toml(text: str) -> Fields:
    from tomllib import loads  # noqa: PLC0415 - it takes longer than all else of a verb

    return loads(text)
