"""A `Host` is this host's own, or it is refused; there is one way to read it."""

import pytest

from exo_supervisor.http.head import Head
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
