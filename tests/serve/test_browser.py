"""What a page may ask, and what its cookie and its proof are good for."""

import pytest

from exo_supervisor.serve.browser import MAX_SESSIONS, PROOF, Sessions, forbidden, may_ask

HOST = "127.0.0.1:5000"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/supervisor/status"),
        ("HEAD", "/supervisor/nodes"),
        ("GET", "/supervisor/events"),
        ("GET", "/supervisor/requests/req_1"),
        ("GET", "/supervisor/models/a/b"),
        ("POST", "/supervisor/models/a/b/place"),
        ("POST", "/supervisor/breakers/127.0.0.1:1/open"),
        ("POST", "/supervisor/nodes/127.0.0.1:1/trust"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_what_the_page_asks_is_let_through(method: str, path: str) -> None:
    assert may_ask(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/supervisor/tokens/default/new"),
        ("GET", "/supervisor/tokens"),
        ("GET", "/supervisor/inspect"),
        ("GET", "//supervisor/tokens"),
        ("GET", "/supervisor//tokens"),
        ("GET", "/supervisor/"),
        ("GET", "/supervisor/ledger/attempts"),
        ("POST", "/supervisor/reload"),
        ("POST", "/supervisor/nodes/forget"),
        ("POST", "/supervisor/status"),
        ("POST", "/supervisor/status/open"),
        ("DELETE", "/supervisor/models/a"),
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/messages"),
        ("POST", "/hud/session"),
    ],
)
def test_nothing_else_is(method: str, path: str) -> None:
    assert not may_ask(method, path)


def begun(sessions: Sessions, owner: str = "token", host: str = HOST) -> tuple[dict[str, str], str]:
    """Begin a session; return the headers that a browser then sends, and the proof."""
    cookie, proof = sessions.begin(owner, host)
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    return {"host": host, "cookie": f"theme=dark; {cookie.partition(';')[0]}"}, proof


def test_a_cookie_is_one_sessions_at_one_port() -> None:
    sessions = Sessions()
    headers, _ = begun(sessions)
    found = sessions.find(headers)
    assert found is not None
    assert found.token == "token"
    assert sessions.find({**headers, "host": "127.0.0.1:5001"}) is None
    assert sessions.find({"host": HOST}) is None
    assert sessions.find({**headers, "cookie": headers["cookie"] + "x"}) is None
    assert Sessions().find(headers) is None


@pytest.mark.parametrize("host", ["supervisor.lan", "supervisor.lan:http", "[::1]"])
def test_where_no_port_is_named_the_cookie_is_that_of_http(host: str) -> None:
    sessions = Sessions()
    headers, _ = begun(sessions, host=host)
    assert sessions.find(headers) is not None
    assert sessions.find({**headers, "host": "supervisor.lan:80"}) is not None
    assert sessions.find({**headers, "host": "supervisor.lan:81"}) is None


def test_a_cookie_alone_looks_and_does_nothing() -> None:
    sessions = Sessions()
    headers, proof = begun(sessions)
    session = sessions.find(headers)
    assert session is not None
    order = "/supervisor/breakers/a/open"
    assert forbidden(session, "GET", "/supervisor/status", headers) is None
    own = {**headers, "origin": f"http://{HOST}"}
    assert "may look only" in (forbidden(session, "POST", order, own) or "")
    assert "may look only" in (forbidden(session, "POST", order, {**own, PROOF: "é"}) or "")
    assert "Origin" in (forbidden(session, "POST", order, {**headers, PROOF: proof}) or "")
    assert forbidden(session, "POST", order, {**own, PROOF: proof}) is None
    assert "no such thing" in (forbidden(session, "GET", "/supervisor/tokens", own) or "")


def test_who_begins_many_sessions_ends_none_but_their_own() -> None:
    sessions = Sessions()
    first, _ = begun(sessions, "anna")
    own = [begun(sessions)[0] for _ in range(2 * MAX_SESSIONS)]
    assert sessions.find(first) is not None
    later, _ = begun(sessions, "anna")
    assert sessions.find(first) is not None
    assert sessions.find(later) is not None
    assert sum(sessions.find(each) is not None for each in own) == MAX_SESSIONS - 2


def test_of_too_many_sessions_the_oldest_ends() -> None:
    sessions = Sessions()
    first, _ = begun(sessions)
    second, _ = begun(sessions)
    for _ in range(MAX_SESSIONS - 1):
        begun(sessions)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None
