"""The page's files come with what keeps others' scripts out; a session begins by a POST alone."""

import pytest

from exo_supervisor.core.policy import Policy
from exo_supervisor.serve.browser import PAGE, SESSION, Sessions
from exo_supervisor.serve.control.page import Page
from exo_supervisor.serve.control.plain import answer
from tests.serve.control.asked import ADMIN, House, request

pytestmark = pytest.mark.real_time


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "text/html"), ("/", "text/html"), ("/index.html", "text/html"),
     ("/app.js", "text/javascript"), ("/hud.css", "text/css")],
)  # fmt: skip
async def test_each_file_has_its_kind(path: str, kind: str) -> None:
    house = House(Policy(), below={PAGE: Page(Sessions()).look})
    for method in ("GET", "HEAD"):
        said = await answer(house.routes.look, request(method, f"{PAGE}{path}"), None)
        assert said.status == 200
        assert said.headers["content-type"].startswith(kind)
        assert "script-src 'self'" in said.headers["content-security-policy"]
        assert said.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/none.js", 404, "it begins at /hud"),
        ("GET", "/%2e%2e/py.typed", 404, "it begins at /hud"),
        ("GET", "/NOTICE", 404, "it begins at /hud"),
        ("GET", "/session", 405, f"{SESSION} takes POST"),
        ("POST", "/index.html", 405, "/hud/index.html takes GET"),
    ],
)
async def test_there_is_nothing_else(method: str, path: str, status: int, words: str) -> None:
    house = House(Policy(), below={PAGE: Page(Sessions()).look})
    said = await house.ask(method, f"{PAGE}{path}")
    assert said.status == status
    assert words in said.error[2]


async def test_a_session_is_begun_with_the_token_that_let_it_in() -> None:
    sessions = Sessions()
    house = House(Policy(), below={PAGE: Page(sessions).look})
    headers = {"authorization": "Bearer  t0ken ", "host": "localhost:7"}
    said = await house.ask("POST", SESSION, ADMIN, headers=headers)
    assert said.headers["cache-control"] == "no-store"
    assert said.headers["content-type"] == "application/json"
    cookie = said.headers["set-cookie"].partition(";")[0]
    found = sessions.find({"host": "localhost:7", "cookie": cookie})
    assert found is not None
    assert (found.token, found.proof) == ("t0ken", said.body["proof"])
