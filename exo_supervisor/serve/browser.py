"""What a page in a browser may do here: whence it may come, what it may ask, and by which cookie.

A browser sends a cookie to every port of a host, so that whoever listens on another one may be
shown it. What acts therefore wants a proof, too, which the page keeps where its own origin alone
can read: whoever has the cookie can look, and nothing else.
"""

import re
import secrets
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import NamedTuple

LAST_PORT = 65_535
_HOST = re.compile(
    r"((?P<name>localhost)|(?P<v4>[0-9.]+)|\[(?P<v6>[0-9a-f:.]+)\])(:(?P<port>[0-9]{0,5}))?",
    re.ASCII | re.IGNORECASE,
)
"""A `Host` that may be loopback (RFC 9110, section 7.2): a name or an address, and a port."""
PAGE, SESSION, CHAT = "/hud", "/hud/session", "/v1/chat/completions"
PROOF = "x-hud-proof"
_LOOKS = frozenset(
    {
        *("status", "nodes", "models", "breakers", "requests", "shifts", "events"),
        *("ledger", "egress", "clients", "config"),
    }
)
_EACH = frozenset({"requests", "models"})
"""Of these one alone is shown, too."""
_ORDERS = {
    "models": frozenset({"place", "remove"}),
    "nodes": frozenset({"trust", "untrust"}),
    "breakers": frozenset({"open", "close", "auto"}),
}
_BYTES = 32
MAX_SESSIONS = 64


def wrong_origin(headers: Mapping[str, str], *, is_page: bool = False) -> str | None:
    """Say what tells that a page of somebody else's asks, or asks under somebody else's name.

    The page's own files tell nothing, and a link may lead to them from anywhere.
    """
    host = headers.get("host", "")
    if not _is_loopback(host):
        return "this listener is this host's own: its Host is localhost, 127.0.0.1 or [::1]"
    foreign = headers.get("origin", f"http://{host}").lower() != f"http://{host.lower()}"
    from_elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if not is_page and (foreign or from_elsewhere):
        return "this listener answers no page that comes from elsewhere"
    return None


def _is_loopback(host: str) -> bool:
    """Read it strictly: what stands beside a host and a port is read differently by everybody."""
    said = _HOST.fullmatch(host)
    if said is None or int(said["port"] or 0) > LAST_PORT:
        return False
    try:
        return said["name"] is not None or ip_address(said["v4"] or said["v6"]).is_loopback
    except ValueError:
        return False


def is_page(method: str, path: str) -> bool:
    """Say whether one of the page's own files is asked for: they tell nothing of the house."""
    return method in ("GET", "HEAD") and (path == PAGE or path.startswith(f"{PAGE}/"))


def may_ask(method: str, path: str) -> bool:
    """Say whether the page asks such a thing; `path` is decoded. No token is made by a page."""
    if path == CHAT:
        return method == "POST"
    if not path.startswith("/supervisor/") or "//" in path:
        return False
    first, _, rest = path.removeprefix("/supervisor/").partition("/")
    if method in ("GET", "HEAD"):
        return first in _LOOKS and (not rest or first in _EACH)
    return method == "POST" and rest.rpartition("/")[2] in _ORDERS.get(first, ())


class Session(NamedTuple):
    """The token that one browser was let in with, and the proof that its page keeps."""

    token: str
    proof: str


class Sessions:
    """The browsers that were let in; all of them are out when this run ends."""

    def __init__(self) -> None:
        self._open: dict[bytes, Session] = {}

    def begin(self, token: str, host: str) -> tuple[str, str]:
        """Open a session; return the cookie to set, and the proof for the page to keep."""
        key, proof = secrets.token_urlsafe(_BYTES), secrets.token_urlsafe(_BYTES)
        if len(self._open) >= MAX_SESSIONS:
            del self._open[self._oldest_of_most()]
        self._open[_digest(key)] = Session(token, proof)
        return f"{_cookie_of(host)}={key}; Path=/; HttpOnly; SameSite=Strict", proof

    def _oldest_of_most(self) -> bytes:
        """Name the oldest session of the token that has the most: nobody pushes others out."""
        many = Counter(session.token for session in self._open.values())
        return max(self._open, key=lambda each: many[self._open[each].token])

    def find(self, headers: Mapping[str, str]) -> Session | None:
        """Return the session whose cookie a request brings."""
        wanted = _cookie_of(headers.get("host", ""))
        for pair in headers.get("cookie", "").split(";"):
            name, _, key = pair.strip().partition("=")
            if name == wanted and (found := self._open.get(_digest(key))) is not None:
                return found
        return None


def forbidden(session: Session, method: str, path: str, headers: Mapping[str, str]) -> str | None:
    """Say why a session may not ask this; None: it may."""
    if not may_ask(method, path):
        return "the page asks no such thing, so that its cookie is not enough for it"
    if method == "POST" and "origin" not in headers:
        return "an order of a page names its Origin"
    proof = headers.get(PROOF, "").encode("utf-8", "replace")
    if method == "POST" and not secrets.compare_digest(proof, session.proof.encode()):
        return "this tab may look only: open the address that exo-supervisor hud prints"
    return None


def _cookie_of(host: str) -> str:
    """Name the cookie by the port: browsers do not keep those of several ports apart."""
    port = host.rpartition(":")[2]
    return f"exo_hud_{port if port.isdecimal() else 80}"


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "replace")).digest()
