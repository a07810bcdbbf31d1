"""What a TCP listener asks for: any local user can reach it, and so can any page in a browser.

The token (RFC 6750) shows that a client was let in by a person. A page knows a leaked one, but not
how to leave out what its browser says of it: its `Origin` (RFC 6454), and as `Host` the name under
which it was loaded, even where that name has come to mean loopback (DNS rebinding).
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.serve.target import split_target

OPEN = frozenset({("GET", "/healthz"), ("HEAD", "/"), ("GET", "/"), ("GET", "/health")})
"""What tells nothing but who listens, and is answered without a token."""
LAST_PORT = 65_535
_HOST = re.compile(
    r"((?P<name>localhost)|(?P<v4>[0-9.]+)|\[(?P<v6>[0-9a-f:.]+)\])(:(?P<port>[0-9]{0,5}))?",
    re.ASCII | re.IGNORECASE,
)
"""A `Host` that may be loopback (RFC 9110, section 7.2): a name or an address, and a port."""
IN_PATH = "/t/"
"""What a path begins with that carries the token, for clients that know only a URL."""


NO_HEAD = Head(b"", b"", {}, (), is_old=False)


class Judgement(Struct):
    """What a guard says of a request; a token in its path is taken off `head`."""

    head: Head
    wrong: Refusal | None = None
    client: ClientRule = DEFAULT_CLIENT
    """The rule of whoever asks."""
    has_token: bool = False


class Guard:
    """Says of each request what is wrong about it, where it is not one that was let in."""

    def __init__(
        self,
        client_of: Callable[[str], ClientRule | None],
        told: Callable[[Head, Refusal], Refusal] = lambda _, refusal: refusal,
    ) -> None:
        self._client_of, self._told = client_of, told

    def judge(self, head: Head) -> Judgement:
        """Say what is wrong about a request, if it is not one that was let in."""
        head, in_path = _without_token(head)
        wrong = _wrong_origin(head)
        if wrong is not None or _is_open(head):
            return Judgement(head, wrong)
        found = self._client(head, in_path)
        if isinstance(found, Refusal):
            return Judgement(head, self._told(head, found))
        return Judgement(head, has_token=True, client=found)

    def _client(self, head: Head, in_path: str | None) -> ClientRule | Refusal:
        authorization, key = (head.headers.get(each) for each in ("authorization", "x-api-key"))
        scheme, _, bearer = (authorization or "").partition(" ")
        tokens = [] if in_path is None else [in_path]
        tokens += [bearer.strip(" ")] if scheme.lower() == "bearer" else []
        tokens += [] if key is None else [key]
        twice = "authorization" in head.repeated
        if not twice and "x-api-key" not in head.repeated:
            rules = [rule for each in tokens if (rule := self._client_of(each)) is not None]
            if len({rule.name for rule in rules}) > 1:
                text = "tokens of more than one client were sent: send one"
                return Refusal(401, "bad_token", text)
            if rules:
                return rules[0]
        return _bad_token(["", ""] if twice else [] if authorization is None else [""], tokens)


def _without_token(head: Head) -> tuple[Head, str | None]:
    path, query = split_target(head.target)
    if not path.startswith(IN_PATH):
        return head, None
    token, _, rest = path.removeprefix(IN_PATH).partition("/")
    target = f"/{rest}?{query}" if query else f"/{rest}"
    return replace(head, target=target.encode("ascii", "surrogateescape")), unquote(token)


def _is_open(head: Head) -> bool:
    return (head.method.decode(), unquote(split_target(head.target)[0])) in OPEN


def _wrong_origin(head: Head) -> Refusal | None:
    """Say what tells that a page of somebody else's asks, or asks under somebody else's name."""
    headers = head.headers
    host = headers.get("host", "")
    if not _is_loopback(host):
        text = "this listener is this host's own: its Host is localhost, 127.0.0.1 or [::1]"
        return Refusal(403, "not_allowed", text)
    foreign = headers.get("origin", f"http://{host}").lower() != f"http://{host.lower()}"
    if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        text = "this listener answers no page that comes from elsewhere"
        return Refusal(403, "not_allowed", text)
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


def _bad_token(authorizations: list[str], tokens: list[str]) -> Refusal:
    """Tell one that is wrong from one that is missing, and say of neither what it is."""
    text = "this listener asks for its token: send the header Authorization: Bearer TOKEN"
    if len(authorizations) > 1:
        text = "more than one Authorization header was sent: send one, with Bearer TOKEN"
    elif tokens:
        text = "the token that was sent is wrong: it is none of this listener's, or one no more"
    elif authorizations:
        text = "the Authorization header has another scheme: send Authorization: Bearer TOKEN"
    return Refusal(401, "bad_token", text)
