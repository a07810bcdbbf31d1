"""What can be asked of requests that ended, by whom, and what a wrong question is told."""

from urllib.parse import quote

import pytest

from exo_supervisor.demo import ExoNode
from exo_supervisor.views.recorder import MOST
from tests.app.world import MODEL, Json, World, in_process

pytestmark = pytest.mark.real_time
REQUESTS, SHIFTS = "/supervisor/requests", "/supervisor/shifts"
SECRET = "correct horse battery staple"
NO_NUMBERS = ("0", "-1", "1.5", "", "many", "٣", str(MOST + 1), "9" * 5000, "1e3", "0x1", "1 ")
NO_IDS = (
    "01J", "x" * 27, "A" * 4000, "01J9/x", "\0\0\0\0", "01j9-", "\N{SNOWMAN}" * 5, "01J9 \n",
)  # fmt: skip


async def refused(world: World, path: str, status: int) -> Json:
    answer = await world.http.get(path)
    assert answer.status_code == status
    return answer.json()["error"]


async def test_requests_that_ended_can_be_asked_about() -> None:
    async with ExoNode(pace=0.0) as node, in_process(node) as world:
        await world.ready()
        missing = await refused(world, f"{REQUESTS}/00000000000000000000000000", 404)
        assert missing["code"] == "request_not_found"
        assert missing["message"].endswith("the last 0 that ended since the start")
        answer = await world.chat(messages=[{"role": "user", "content": SECRET}])
        name = answer.headers["x-request-id"]
        for asked in (name, name[:20], name.lower()):
            row = (await world.look(f"{REQUESTS}/{asked}"))["request"]
            seen = row["id"], row["state"], row["full"], row["outcome"]
            assert seen == (name, "ended", True, "success")
        [tried] = row["tried"]
        assert tried["number"] == 1
        assert tried["target"] == row["target"] == answer.headers["x-supervisor-target"]
        assert 0 <= tried["began"] <= tried["began"] + tried["first"] <= tried["ended"]

        listed = await world.look(f"{REQUESTS}?last=1")
        assert [each["id"] for each in listed["ended"]] == [name]
        assert listed["requests"] == []
        assert listed["kept"]["requests"] == 1
        assert await world.look(REQUESTS) == {"requests": []}, "as it always was"
        told = (await world.http.get(f"{REQUESTS}?last=9")).text
        assert MODEL in told
        assert SECRET not in told
        assert answer.json()["choices"][0]["message"]["content"] not in told

        missing = await refused(world, f"{REQUESTS}/00000000000000000000000000", 404)
        assert "the last 1 that ended, which reach back to 20" in missing["message"]
        assert (await world.chat()).is_success
        several = await refused(world, f"{REQUESTS}/{name[:4]}", 400)
        assert several["message"].startswith("several requests begin so: 0")


async def test_a_wrong_question_is_told_what_is_right() -> None:
    async with in_process() as world:
        for last in NO_NUMBERS:
            error = await refused(world, f"{REQUESTS}?last={quote(last)}", 400)
            assert (error["code"], error["param"]) == ("bad_value", "last")
            assert error["message"] == f"last wants a whole number from 1 to {MOST}"
        for name in NO_IDS:
            error = await refused(world, f"{REQUESTS}/{quote(name)}", 400)
            assert error["code"] == "bad_value"
            assert "26 letters and digits" in error["message"]
        for path in (REQUESTS, f"{REQUESTS}/01J9", SHIFTS):
            answer = await world.http.post(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
        await refused(world, f"{SHIFTS}/1", 404)
