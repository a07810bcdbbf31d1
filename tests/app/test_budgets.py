"""Nobody is surprised by a bill: a cloud beyond its budget is not asked, and clients are told."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from http import HTTPStatus
from pathlib import Path

import anthropic
import anyio
import openai
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.clients.sdks import anthropics
from tests.app.world import CHAT, CLOUD_MODEL, HELLO, KEY, MODEL, Json, World, asking, in_process

pytestmark = pytest.mark.real_time

CLOUD = {"x-supervisor-route": "cloud"}


@asynccontextmanager
async def house(*nodes: ExoNode, **budget: object) -> AsyncGenerator[tuple[Cloud, World]]:
    """Run the service with a budget before a cloud."""
    async with (
        Cloud(KEY, models=(CLOUD_MODEL,)) as cloud,
        in_process(*nodes, cloud=cloud, budget=budget) as world,
    ):
        await world.ready(len(nodes))
        yield cloud, world


async def test_a_model_whose_price_nobody_knows_is_refused_in_every_dialect() -> None:
    async with house(day=1.0) as (cloud, world):
        bodies: dict[str, Json] = {
            CHAT: asking(),
            "/v1/responses": {"model": MODEL, "input": "Hello"},
            "/v1/messages": {"model": MODEL, "max_tokens": 9, "messages": HELLO},
            "/api/chat": {"model": MODEL, "messages": HELLO},
        }
        for path, body in bodies.items():
            reply = await world.http.post(path, json=body)
            assert reply.status_code == HTTPStatus.PAYMENT_REQUIRED
            assert reply.headers["x-should-retry"] == "false"
            assert "add a [[price]] for it" in reply.text
        assert cloud.seen == 0
        lines = await world.lines("request_done", len(bodies))
        assert {(line["code"], line["outcome"]) for line in lines} == {("budget_spent", "refused")}


async def test_sdks_ask_once_and_no_more() -> None:
    async with house(day=1.0) as (_, world):
        with pytest.raises(openai.APIStatusError) as told:
            await world.sdk.with_options(max_retries=2).chat.completions.create(
                model=MODEL, messages=HELLO
            )
        assert told.value.code == "budget_spent"
        async with anthropics(world) as sdk:
            with pytest.raises(anthropic.APIStatusError) as said:
                await sdk.with_options(max_retries=2).messages.create(
                    model=MODEL, max_tokens=9, messages=HELLO
                )
        assert said.value.status_code == HTTPStatus.PAYMENT_REQUIRED
        assert len(await world.lines("request_done", 2)) == 2


async def test_exo_goes_on_without_the_clouds() -> None:
    async with ExoNode() as node, house(node, day=1.0) as (cloud, world):
        assert (await world.chat(CLOUD)).status_code == HTTPStatus.PAYMENT_REQUIRED
        assert (await world.chat()).status_code == HTTPStatus.OK
        assert cloud.seen == 0


async def test_a_loop_that_runs_away_is_ended() -> None:
    async with house(session_requests=3) as (cloud, world):
        loop = {"x-supervisor-session": "a-run"}
        codes = [(await world.chat(loop)).status_code for _ in range(5)]
        assert codes == [200] * 3 + [402] * 2
        assert (await world.chat({"x-supervisor-session": "another"})).status_code == HTTPStatus.OK
        [told] = await world.lines("budget_spent")
        assert (told["scope"], told["span"], told["limit"]) == ("session", "requests", 3)
        assert cloud.seen == 4


PRICE = {"provider": "house-cloud", "model": CLOUD_MODEL, "input": 1.0, "output": 10.0}
"""A millionth for each token of a prompt, ten for each of an answer."""


async def test_what_was_spent_is_known_to_the_next_run(tmp_path: Path) -> None:
    """The sums are the ledger's: of cost where it was told, to the last digit."""
    rows: Json = {"price": [PRICE], "budget": {"day": 0.001, "session": 0.0005}}
    session = {"x-supervisor-session": "a-run"}
    async with Cloud(KEY, models=(CLOUD_MODEL,)) as cloud:
        async with in_process(cloud=cloud, state=tmp_path, **rows) as world:
            await world.ready(0)
            reply = await world.chat(session, max_tokens=30)
            assert reply.status_code == HTTPStatus.OK
            usage = reply.json()["usage"]
            spent = usage["prompt_tokens"] + 10 * usage["completion_tokens"]
            [line] = await world.lines("request_done")
            assert line["cost_microdollars"] == spent
            [seen] = (await world.look("/supervisor/status"))["budgets"]
            assert (seen["spent"], seen["held"]) == (f"{spent / 1e6:.6f}".rstrip("0"), "0.00")
            page = (await world.http.get("/metrics")).text
            row = 'exo_supervisor_budget_spent{name="",scope="house",span="day"}'
            assert f"{row} {spent / 1e6}" in page
        async with in_process(cloud=cloud, state=tmp_path, **rows) as world:
            await world.ready(0)
            told = await world.chat(session, max_tokens=50 - spent // 10)
            assert told.status_code == HTTPStatus.PAYMENT_REQUIRED
            assert f"the budget of this session is spent: {spent / 1e6:.6f} of 0.0005" in told.text
            told = await world.chat(max_tokens=100 - spent // 10)
            assert f"the budget is spent: {spent / 1e6:.6f} of 0.001 USD a day" in told.text
            assert 0 < int(told.headers["retry-after"]) <= 25 * 3600
            assert (await world.chat(session, max_tokens=20)).status_code == HTTPStatus.OK
        assert cloud.seen == 2


LIMITED: Json = {"price": [PRICE], "budget": {"day": 0.001, "month": 0.001}}


async def spent_once(cloud: Cloud, state: Path) -> set[str]:
    """Run the service for one request, and return what its budgets say is spent."""
    async with in_process(cloud=cloud, state=state, **LIMITED) as world:
        await world.ready(0)
        assert (await world.chat(max_tokens=30)).status_code == HTTPStatus.OK
        return {row["spent"] for row in (await world.look("/supervisor/status"))["budgets"]}


async def test_a_torn_ledger_gives_no_budget_back(tmp_path: Path) -> None:
    """The day book knows the sums, and whoever asks is told which file is in none of them."""
    async with Cloud(KEY, models=(CLOUD_MODEL,)) as cloud:
        before = await spent_once(cloud, tmp_path)
        (tmp_path / "ledger.db").write_bytes(b"no database" * 100)
        async with in_process(cloud=cloud, state=tmp_path, **LIMITED) as world:
            status = await world.ready(0)
            status = await world.look("/supervisor/status")
            assert {row["spent"] for row in status["budgets"]} == before
            assert status["ledger"]["aside"].startswith(f"{tmp_path}/ledger.db.torn-")
            spans = [line["span"] for line in await world.lines("ledger_lacks")]
            assert spans == ["day", "month"]
            told = await world.chat(max_tokens=95)
            assert told.status_code == HTTPStatus.PAYMENT_REQUIRED


async def test_what_the_day_book_rightly_counts_elsewhere_is_charged_once(tmp_path: Path) -> None:
    """It has a request on the day on which that ends, and an answer that is told twice twice."""
    async with Cloud(KEY, models=(CLOUD_MODEL,)) as cloud:
        before = await spent_once(cloud, tmp_path)
        file = tmp_path / "day_book.json"
        kept = json.loads(file.read_bytes())
        kept["paid"][0]["day"] *= 3
        kept["paid"][0]["month"] *= 3
        file.write_text(json.dumps(kept))
        async with in_process(cloud=cloud, state=tmp_path, **LIMITED) as world:
            await world.ready(0)
            status = await world.look("/supervisor/status")
            assert {row["spent"] for row in status["budgets"]} == before


@pytest.mark.parametrize("of_file", [b"torn", b""])
async def test_a_day_book_that_is_torn_is_gone_on_with_from_its_reserve(
    tmp_path: Path, of_file: bytes
) -> None:
    async with Cloud(KEY, models=(CLOUD_MODEL,)) as cloud:
        async with in_process(cloud=cloud, state=tmp_path) as world:
            await world.ready(0)
            assert (await world.chat()).status_code == HTTPStatus.OK
        file, reserve = tmp_path / "day_book.json", tmp_path / "day_book.json.reserve"
        assert reserve.read_bytes().isspace()
        reserve.write_bytes(file.read_bytes())
        file.write_bytes(of_file)
        async with in_process(cloud=cloud, state=tmp_path) as world:
            await world.ready(0)
            assert (await world.look("/supervisor/egress"))["requests"] == 1
            await world.lines("day_book_unreadable")
            assert (await world.chat()).status_code == HTTPStatus.OK
        assert reserve.read_bytes().isspace(), "its content is in the file again"
        reserve.write_bytes(file.read_bytes()[:40])
        async with in_process(cloud=cloud, state=tmp_path) as world:
            await world.ready(0)
            assert (await world.look("/supervisor/egress"))["requests"] == 2
            await world.lines("day_book_reserve_unreadable")


async def test_a_ledger_that_stays_unreadable_is_named_wherever_somebody_asks(
    tmp_path: Path,
) -> None:
    """The file of a newer version stands there, which nothing but a person mends."""
    rows: Json = {"price": [PRICE], "budget": {"day": 1.0}}
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.execute("CREATE TABLE t (x)")
    file.chmod(0o600)
    why = f"{file} is of version 99"
    async with (
        Cloud(KEY, models=(CLOUD_MODEL,)) as cloud,
        in_process(cloud=cloud, state=tmp_path, **rows) as world,
    ):
        await world.ready(0)
        reply = await world.chat()
        error = reply.json()["error"]
        assert (reply.status_code, error["code"]) == (503, "ledger_unreadable")
        assert why in error["message"]
        assert "move that file away" in error["message"]
        assert reply.headers["retry-after"] == "5"
        status = await world.look("/supervisor/status")
        assert why in status["ledger"]["stopped"]
        assert why in status["budgets"][0]["why"]
        assert {"what was spent is not known", "nothing is booked"} <= set(
            status["verdict"]["parts"]
        )
        story = (await world.look("/supervisor/requests?last=1"))["ended"][0]
        assert why in json.dumps(story)
        assert why in json.dumps(await world.look(f"/supervisor/models/{MODEL}"))
        await world.lines("budget_unread")
        assert cloud.seen == 0


async def test_an_attempt_begins_when_its_reservation_is_in_the_file(tmp_path: Path) -> None:
    """A disk that does not answer holds the request up, and its client may leave meanwhile."""
    rows: Json = {"price": [PRICE], "budget": {"day": 1.0}}
    async with (
        Cloud(KEY, models=(CLOUD_MODEL,)) as cloud,
        in_process(cloud=cloud, state=tmp_path, **rows) as world,
    ):
        await world.ready(0)
        with sqlite3.connect(tmp_path / "ledger.db") as other:
            other.execute("BEGIN IMMEDIATE")  # as a person's program at work on the file
            async with anyio.create_task_group() as tasks:
                for _ in range(3):  # one takes a connection that stands, others open their own
                    tasks.start_soon(world.chat)
                await world.until("/supervisor/status", lambda body: body["requests"]["now"] == 3)
                assert cloud.seen == 0
                other.rollback()
        assert cloud.seen == 3
        assert {line["status"] for line in await world.lines("request_done", 3)} == {HTTPStatus.OK}
