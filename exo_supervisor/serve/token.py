"""What a TCP listener asks for: any local user can reach it, and so can any page in a browser.

The token (RFC 6750) shows that a client was let in by a person. A page knows a leaked one, but not
how to leave out what its browser says of it: its `Origin` (RFC 6454), and as `Host` the name under
which it was loaded, even where that name has come to mean loopback (DNS rebinding).
"""

from collections.abc import Callable
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.serve.browser import Sessions, forbidden, is_page, wrong_origin
from exo_supervisor.serve.target import split_target

OPEN = frozenset({("GET", "/healthz"), ("HEAD", "/"), ("GET", "/"), ("GET", "/health")})
"""What tells nothing but who listens, and is answered without a token."""
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


class _Shown(Struct, frozen=True):
    """What a head shows of who sent it, whoever that may be by now."""

    by: Head
    head: Head
    """The same without a token in its path."""
    method: str
    path: str
    wrong: Refusal | None
    is_open: bool
    """It is answered without a token."""
    tokens: list[str]
    names_itself: bool
    """It says who asks, even if badly, so that no cookie has to."""


class Guard:
    """Says of each request what is wrong about it, where it is not one that was let in.

    Whose a token is changes, while what a head shows stays the same: of the last one it is kept.
    """

    def __init__(
        self,
        client_of: Callable[[str], ClientRule | None],
        told: Callable[[Head, Refusal], Refusal] = lambda _, refusal: refusal,
        sessions: Sessions | None = None,
    ) -> None:
        self._client_of, self._told = client_of, told
        self._sessions = sessions or Sessions()
        self._last = _shown_by(NO_HEAD)

    def judge(self, head: Head) -> Judgement:
        """Say what is wrong about a request, if it is not one that was let in."""
        shown = self._last
        if shown.by is not head:
            self._last = shown = _shown_by(head)
        head, tokens = shown.head, shown.tokens
        if shown.wrong is not None or shown.is_open:
            return Judgement(head, shown.wrong)
        session = None if shown.names_itself else self._sessions.find(head.headers)
        if session is not None:
            why = forbidden(session, shown.method, shown.path, head.headers)
            if why is not None:
                return Judgement(head, Refusal(403, "not_allowed", why))
            tokens = [session.token]
        found = self._client(head, tokens)
        if isinstance(found, Refusal):
            return Judgement(head, self._told(head, found))
        return Judgement(head, has_token=True, client=found)

    def _client(self, head: Head, tokens: list[str]) -> ClientRule | Refusal:
        if "authorization" not in head.repeated and "x-api-key" not in head.repeated:
            rules = [rule for each in tokens if (rule := self._client_of(each)) is not None]
            if len({rule.name for rule in rules}) > 1:
                text = "tokens of more than one client were sent: send one"
                return Refusal(401, "bad_token", text)
            if rules:
                return rules[0]
        return _bad_token(head, tokens)


def _shown_by(sent: Head) -> _Shown:
    head, in_path = _without_token(sent)
    method, path = head.method.decode(), unquote(split_target(head.target)[0])
    page = is_page(method, path)
    wrong = wrong_origin(head.headers, is_page=page)
    authorization, key = (head.headers.get(each) for each in ("authorization", "x-api-key"))
    scheme, _, bearer = (authorization or "").partition(" ")
    tokens = [] if in_path is None else [in_path]
    tokens += [bearer.strip(" ")] if scheme.lower() == "bearer" else []
    tokens += [] if key is None else [key]
    return _Shown(
        sent,
        head,
        method,
        path,
        wrong=None if wrong is None else Refusal(403, "not_allowed", wrong),
        is_open=page or (method, path) in OPEN,
        tokens=tokens,
        names_itself=not (in_path is authorization is key is None),
    )


def _without_token(head: Head) -> tuple[Head, str | None]:
    path, query = split_target(head.target)
    if not path.startswith(IN_PATH):
        return head, None
    token, _, rest = path.removeprefix(IN_PATH).partition("/")
    target = f"/{rest}?{query}" if query else f"/{rest}"
    return replace(head, target=target.encode("ascii", "surrogateescape")), unquote(token)


def _bad_token(head: Head, tokens: list[str]) -> Refusal:
    """Tell one that is wrong from one that is missing, and say of neither what it is."""
    text = "this listener asks for its token: send the header Authorization: Bearer TOKEN"
    if "authorization" in head.repeated:
        text = "more than one Authorization header was sent: send one, with Bearer TOKEN"
    elif tokens:
        text = "the token that was sent is wrong: it is none of this listener's, or one no more"
    elif "authorization" in head.headers:
        text = "the Authorization header has another scheme: send Authorization: Bearer TOKEN"
    return Refusal(401, "bad_token", text)
