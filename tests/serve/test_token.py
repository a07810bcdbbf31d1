"""A `Host` is this host's own, or it is refused; there is one way to read it."""

import pytest

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.http.head import Head
from exo_supervisor.serve.browser import MAX_SESSIONS, Sessions
from exo_supervisor.serve.token import Guard, Judgement
from tests.serve.listening import only

TOKEN = "t0ken"

OWN = [
    "localhost", "LocalHost:52416", "localhost:", "127.0.0.1", "127.0.0.1:1", "127.8.9.1:65535",
    "[::1]", "[::1]:52416", "[0:0:0:0:0:0:0:1]:1",
]  # fmt: skip
FOREIGN = [
    "", ":1", "evil", "localhost.evil", "evil.localhost", "localhost.", "10.0.0.1", "[::2]", "::1",
    "0.0.0.0", "[::ffff:10.0.0.1]", "127.1", "127.0.0.1.5", "2130706433", "127.0.0.01",
    # What a URL's reader may pass over or cut off.
    "localhost#evil", "localhost?evil", "localhost/evil", "localhost\\evil", "localhost;evil",
    "evil@localhost", "localhost@evil", "localhost:1@evil", "localhost,evil", "localhost, evil",
    "localhost evil", " localhost", "localhost\t", "localhost:1\n", "localhost%00", "[::1%lo]",
    "[::1]evil", "[::1]:1#evil", "[::1", "::1]", "[localhost]", "localhost:x", "localhost:1:2",
    "localhost:-1", "localhost:+1", "localhost:65536", "localhost:000001", "localhost:\u0661",
    "\uff4cocalhost", "loca\u017fhost", "http://localhost",
]  # fmt: skip


def wrong(host: str, **more: str) -> str | None:
    headers = {"host": host, "authorization": f"Bearer {TOKEN}"} | more
    judged = only(TOKEN).judge(Head(b"POST", b"/v1/chat/completions", headers, (), is_old=False))
    return None if judged.wrong is None else judged.wrong.code


@pytest.mark.parametrize("host", OWN)
def test_a_host_that_is_our_own_is_let_in(host: str) -> None:
    assert wrong(host) is None
    assert wrong(host, origin=f"http://{host}") is None


@pytest.mark.parametrize("host", FOREIGN)
def test_a_host_that_is_anything_else_is_refused(host: str) -> None:
    assert wrong(host) == "not_allowed"
    assert wrong(host, origin=f"http://{host}") == "not_allowed"


def test_a_request_without_a_host_is_refused() -> None:
    judged = only(TOKEN).judge(Head(b"GET", b"/healthz", {}, (), is_old=False))
    assert judged.wrong is not None
    assert judged.wrong.status == 403


KIDS = ClientRule("kids")
BOTH = Guard({TOKEN: DEFAULT_CLIENT, "k/ds": KIDS}.get)


def judged(
    target: bytes = b"/v1/models", method: bytes = b"GET", /, *repeated: str, **headers: str
) -> Judgement:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    head = Head(method, target, {"host": "localhost"} | said, repeated, is_old=False)
    return BOTH.judge(head)


def words(said: Judgement) -> str:
    return "" if said.wrong is None else f"{said.wrong.status} {said.wrong.message}"


@pytest.mark.parametrize("in_path", [True, False])
def test_of_a_head_that_comes_again_it_is_asked_anew_whose_its_token_is(*, in_path: bool) -> None:
    known = {TOKEN: DEFAULT_CLIENT}
    guard, target = Guard(known.get), f"/t/{TOKEN}/v1/models" if in_path else "/v1/models"
    headers = {"host": "localhost"} | ({} if in_path else {"authorization": f"Bearer {TOKEN}"})
    head = Head(b"GET", target.encode(), headers, (), is_old=False)
    assert guard.judge(head).client is DEFAULT_CLIENT
    known[TOKEN] = KIDS
    said = guard.judge(head)
    assert (said.client, said.has_token, said.head.target) == (KIDS, True, b"/v1/models")
    known.clear()
    assert words(guard.judge(head)).startswith("401 the token that was sent is wrong")
    known[TOKEN] = KIDS
    assert guard.judge(head).wrong is None


def test_of_a_head_that_comes_again_it_is_asked_anew_whether_its_session_lasts() -> None:
    sessions = Sessions()
    guard = Guard({TOKEN: KIDS}.get, sessions=sessions)
    cookie, _ = sessions.begin(TOKEN, "localhost")
    headers = {"host": "localhost", "cookie": cookie.partition(";")[0]}
    head = Head(b"GET", b"/supervisor/status", headers, (), is_old=False)
    assert guard.judge(head).client is KIDS
    for _ in range(MAX_SESSIONS):
        sessions.begin(TOKEN, "localhost")
    assert words(guard.judge(head)).startswith("401 ")


def test_what_tells_only_who_listens_needs_no_token() -> None:
    for path, methods in {
        b"/healthz": (b"GET",), b"/": (b"GET", b"HEAD"), b"/health": (b"GET",),
        b"/%68ealthz?x=1": (b"GET",),
    }.items():  # fmt: skip
        for method in (b"GET", b"HEAD", b"POST"):
            said = judged(path, method)
            assert (said.wrong is None, said.has_token) == (method in methods, False)


def test_a_token_is_shown_in_either_header_or_in_the_path() -> None:
    for said, target in (
        (judged(authorization=f"bearer  {TOKEN} "), b"/v1/models"),
        (judged(x_api_key=TOKEN), b"/v1/models"),
        (judged(b"/t/t0ken/v1/models"), b"/v1/models"),
        (judged(b"/t/t0ken/v1/models?a=1&b"), b"/v1/models?a=1&b"),
        (judged(b"/t/t0ken", b"POST"), b"/"),
        (judged(b"/t/wrong/x", authorization=f"Bearer {TOKEN}"), b"/x"),
        (judged(authorization="Basic x", x_api_key=TOKEN), b"/v1/models"),
    ):
        assert (said.wrong, said.client, said.has_token) == (None, DEFAULT_CLIENT, True)
        assert said.head.target == target
    assert judged(b"/t/k%2Fds/v1/models").client is KIDS


WRONG = "401 the token that was sent is wrong: it is none of this listener's, or one no more"
MISSING = "401 this listener asks for its token: send the header Authorization: Bearer TOKEN"
SCHEME = "401 the Authorization header has another scheme: send Authorization: Bearer TOKEN"
TWICE = "401 more than one Authorization header was sent: send one, with Bearer TOKEN"
MANY = "401 tokens of more than one client were sent: send one"


def test_what_is_wrong_about_a_token_is_told_and_it_is_not() -> None:
    assert words(judged()) == MISSING
    assert words(judged(authorization="Basic x")) == SCHEME
    assert words(judged(authorization="Bearer nonsense")) == WRONG
    assert words(judged(x_api_key="nonsense")) == WRONG
    assert words(judged(b"/t/nonsense/x")) == WRONG
    right = {"authorization": f"Bearer {TOKEN}"}
    assert words(judged(b"/x", b"GET", "authorization", **right)) == TWICE
    assert words(judged(b"/x", b"GET", "x-api-key", **right, x_api_key=TOKEN)) == WRONG
    assert words(judged(**right, x_api_key="k/ds")) == MANY
    assert judged(**right, x_api_key=TOKEN).wrong is None


def test_a_page_is_answered_only_if_it_is_our_own() -> None:
    for own in ({"origin": "http://LOCALHOST"}, {"sec_fetch_site": "same-origin"},
                {"sec_fetch_site": "none"}):  # fmt: skip
        assert judged(authorization=f"Bearer {TOKEN}", **own).wrong is None
    for foreign in ({"origin": "http://localhost:1"}, {"origin": "https://localhost"},
                    {"origin": "null"}, {"sec_fetch_site": "cross-site"},
                    {"sec_fetch_site": "same-site"}):  # fmt: skip
        for path in (b"/healthz", b"/v1/models"):
            said = judged(path, authorization=f"Bearer {TOKEN}", **foreign)
            assert words(said) == "403 this listener answers no page that comes from elsewhere"
            assert not said.has_token
