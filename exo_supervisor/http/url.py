"""URLs taken apart: to whom a connection is made, and what is asked there."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from exo_supervisor.http.faults import HttpError, NetworkFault, Stage

PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT = 65_535
_UNSENT = re.compile(r"[^\x21-\x7e]")
"""What a request line must not hold: it would end it, or be read in several ways."""
_PLAIN_PATH = re.compile(r"[\x21-\x3e\x40-\x7e]*")
"""Without a query: it is asked for as it stands."""
_HOST = re.compile(r"[^\x00-\x20\x7f/?#@\\\[\]%]+")


class Origin(Struct, frozen=True, cache_hash=True):
    """The other end of a connection."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What the `host` header and a CONNECT say."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Proxy(Struct, frozen=True, cache_hash=True):
    """An HTTP CONNECT proxy; what it is told of us appears in no text."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


def split_url(url: str) -> tuple[Origin, str]:
    """Tell an absolute URL's origin and request target; raises HttpError(BAD_URL).

    A thousand nodes are asked for the same few paths: each of both is kept, but no URL.
    """
    end = url.find("/", url.find("://") + 3)
    # A query or fragment may begin before what looks like a path.
    if end > 0 and "#" not in url and "?" not in url and _is_plain(path := url[end:]):
        return _split(url[:end])[0], path
    return _split(url)


@lru_cache(maxsize=256)
def _is_plain(path: str) -> bool:
    return _PLAIN_PATH.fullmatch(path) is not None


@lru_cache(maxsize=4096)
def _split(url: str) -> tuple[Origin, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad("it cannot be read") from None
    if parts.scheme not in PORTS:
        raise _bad("neither http nor https")
    if "@" in parts.netloc:
        raise _bad("it holds a user name or password")
    origin = Origin(parts.scheme, _host(host), _port(port, PORTS[parts.scheme]))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _UNSENT.search(target):
        raise _bad("its path holds what no request line may")
    return origin, target


def read_proxy(url: str) -> Proxy:
    """Read a proxy's URL, credentials included; raises HttpError(BAD_URL), which repeats none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad("the proxy's URL cannot be read") from None
    if parts.scheme != "http":
        raise _bad("a proxy is named by http://HOST:PORT")
    said = ""
    if parts.username is not None:
        plain = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        said = "Basic " + b64encode(plain.encode()).decode()
    return Proxy(_host(host), _port(port, PORTS["http"]), said)


def _host(host: str) -> str:
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise _bad("its host is no name that can be looked up") from None
    if not _HOST.fullmatch(ascii_host):
        raise _bad("it names no host")
    return ascii_host


def _port(port: int | None, usual: int) -> int:
    if port is None:
        return usual
    if not 0 < port <= _LAST_PORT:
        raise _bad("its port is none")
    return port


def _bad(detail: str) -> HttpError:
    return HttpError(NetworkFault.BAD_URL, Stage.CONNECT, detail)
