"""Orders to place and to remove a model, carried out once and answered once."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from msgspec import structs

from exo_supervisor.core.effects import PlaceModel, RemoveModel
from exo_supervisor.core.events import Event, ModelRemoved, PlacementChosen, PlacementSettled
from exo_supervisor.core.names import Address, ClusterKey, InstanceId, ModelId
from exo_supervisor.core.network import Why
from exo_supervisor.core.policy import WAITS
from exo_supervisor.demo import ExoCluster, ExoNode
from exo_supervisor.fleet_io.fetch import Fetcher
from exo_supervisor.fleet_io.placer import MOVES, Placer
from exo_supervisor.runtime.fetch import GetError
from exo_supervisor.serve.upstream import open_sessions
from exo_supervisor.wire.exo.identity import HttpAnswer
from tests.runtime.fake_get import FakeGet

URL = "http://10.0.0.5:52415"
MODEL = "mlx-community/Llama-3.2-3B-Instruct-4bit"
M = ModelId(MODEL)
PREVIEWS = f"{URL}/instance/previews?model_id=mlx-community%2FLlama-3.2-3B-Instruct-4bit"
STANDING = json.dumps({"i1": {"MlxRingInstance": {"shardAssignments": {"modelId": MODEL}}}})


class FakeCommand:
    """Notes each command and answers it as it was told to."""

    def __init__(self) -> None:
        self.answer: HttpAnswer | GetError = HttpAnswer(200, b"{}")
        self.sent: list[tuple[str, str, bytes]] = []

    async def __call__(
        self,
        method: Literal["POST", "DELETE"],
        url: str,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 - see Command
        limit: int,
    ) -> HttpAnswer:
        await anyio.lowlevel.checkpoint()
        assert timeout > 3.2, "an election holds it up for so long"
        assert limit > 0
        self.sent.append((method, url, body))
        if isinstance(self.answer, GetError):
            raise self.answer
        return self.answer


def order(*, url: str = URL, state_paths: bool = True) -> PlaceModel:
    return PlaceModel(
        key=M, ticket=7, node=Address("10.0.0.5:52415"), url=url, state_paths=state_paths,
        models=(M,),
    )  # fmt: skip


def removal(*, url: str = URL, state_paths: bool = True) -> RemoveModel:
    return RemoveModel(
        model=M, cluster=ClusterKey("k"), node=Address("10.0.0.5:52415"), url=url,
        state_paths=state_paths, models=(M,),
    )  # fmt: skip


@asynccontextmanager
async def placer(
    get: FakeGet, command: FakeCommand
) -> AsyncGenerator[tuple[Placer, MemoryObjectReceiveStream[Event]]]:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    async with anyio.create_task_group() as tasks, send, inbox:
        placing = Placer(get, command, send, lambda: 0.5)
        tasks.start_soon(placing.run)
        await anyio.wait_all_tasks_blocked()
        yield placing, inbox
        tasks.cancel_scope.cancel()


class Living(FakeGet):
    """A node whose state moves: one event a second."""

    async def __call__(self, url: str, **how: Any) -> HttpAnswer:  # noqa: ANN401 - as it came
        index = int(anyio.current_time()) + 7
        self.say(f"{URL}/state/lastEventAppliedIdx", str(index))
        self.say(f"{URL}/state", f'{{"instances": {{}}, "lastEventAppliedIdx": {index}}}')
        return await super().__call__(url, **how)


def standing_nowhere(get: FakeGet | None = None) -> FakeGet:
    get = get or Living()
    get.say(f"{URL}/state/instances", "{}")
    fits = {"error": None, "instance": {"x": 1}, "memory_delta_by_node": {"n": 1}}
    get.say(PREVIEWS, json.dumps({"previews": [fits]}))
    return get


async def placed(
    get: FakeGet, command: FakeCommand, told: PlaceModel | None = None
) -> tuple[str, str]:
    async with placer(get, command) as (placing, inbox):
        placing.place(told or order())
        event = await inbox.receive()
    assert isinstance(event, PlacementSettled)
    assert (event.key, event.ticket) == (M, 7)
    return event.told, event.detail


async def removed(get: FakeGet, command: FakeCommand) -> tuple[int, str]:
    async with placer(get, command) as (placing, inbox):
        placing.remove(removal())
        event = await inbox.receive()
    assert isinstance(event, ModelRemoved)
    assert (event.model, event.cluster) == (M, "k")
    return event.count, event.why


async def test_it_looks_previews_and_sends_once() -> None:
    get, command = standing_nowhere(), FakeCommand()
    assert await placed(get, command) == ("accepted", "")
    assert [url for _, url in get.asked] == [
        f"{URL}/state/lastEventAppliedIdx", f"{URL}/state/instances", PREVIEWS,
        f"{URL}/state/lastEventAppliedIdx", f"{URL}/state/instances",
    ]  # fmt: skip
    assert get.asked[-1][0] == MOVES + WAITS.jitter / 2, "another order may show by then"
    assert command.sent == [("POST", f"{URL}/instance", b'{"instance":{"x": 1}}')]


async def test_what_stands_already_is_not_placed_again() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get.say(f"{URL}/state/instances", STANDING)
    assert await placed(get, command) == ("stands", "")
    assert not command.sent


async def test_what_another_supervisor_placed_meanwhile_is_not_placed_again() -> None:
    class Meanwhile(Living):
        async def __call__(self, url: str, **how: Any) -> HttpAnswer:  # noqa: ANN401 - as it came
            reply = await super().__call__(url, **how)
            if url == PREVIEWS:
                self.say(f"{URL}/state/instances", STANDING)
            return reply

    get, command = standing_nowhere(Meanwhile()), FakeCommand()
    assert await placed(get, command) == ("stands", "")
    assert not command.sent


@pytest.mark.parametrize("state_paths", [True, False])
async def test_nothing_is_placed_at_a_node_whose_state_stands_still(*, state_paths: bool) -> None:
    """It would not show the instance, and it would be placed again."""
    get, command = standing_nowhere(FakeGet()), FakeCommand()
    get.say(f"{URL}/state/lastEventAppliedIdx", "7")
    get.say(f"{URL}/state", '{"instances": {}, "lastEventAppliedIdx": 7}')
    told, why = await placed(get, command, order(state_paths=state_paths))
    assert (told, why) == ("unfit", "the state of 10.0.0.5:52415 stands still")
    assert not command.sent


async def test_an_older_exo_without_an_index_is_believed() -> None:
    get, command = standing_nowhere(FakeGet()), FakeCommand()
    get.say(f"{URL}/state/lastEventAppliedIdx", "null")
    assert (await placed(get, command))[0] == "accepted"


async def test_exo_gets_half_a_minute_to_look_a_model_up_on_the_hub() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get.delays[PREVIEWS] = 14.0
    assert (await placed(get, command))[0] == "accepted"


async def test_the_instance_is_told_of_seconds_before_it_is_asked_for() -> None:
    """There is time to write its id down, so that a process that then ends knows it again."""
    get = standing_nowhere()
    body: dict[str, object] = {"MlxRingInstance": {"instanceId": "i7", "shardAssignments": {}}}
    get.say(PREVIEWS, json.dumps({"previews": [{"error": None, "instance": body}]}))
    command = FakeCommand()
    async with placer(get, command) as (placing, inbox):
        placing.place(order())
        assert await inbox.receive() == PlacementChosen(key=M, instance=InstanceId("i7"))
        told_at = anyio.current_time()
        assert command.sent == []
        event = await inbox.receive()
    assert isinstance(event, PlacementSettled)
    assert len(command.sent) == 1
    assert anyio.current_time() - told_at >= MOVES


def crowd(**status: str) -> FakeGet:
    """Tell of instances of the model, each with one runner in a state."""
    instances: dict[str, object] = {
        one: {"MlxRingInstance": {"shardAssignments": {
            "modelId": MODEL, "runnerToShard": {f"r-{one}": {}},
        }}}
        for one in status
    }  # fmt: skip
    runners: dict[str, object] = {f"r-{one}": {tag: {}} for one, tag in status.items()}
    get = FakeGet()
    get.say(f"{URL}/state/instances", json.dumps(instances))
    get.say(f"{URL}/state/runners", json.dumps(runners))
    get.say(f"{URL}/state", json.dumps({"instances": instances, "runners": runners}))
    return get


@pytest.mark.parametrize("state_paths", [True, False])
@pytest.mark.parametrize(
    ("stand", "gone"),
    [
        pytest.param({"i1": "RunnerReady", "i2": "RunnerReady"}, ["i2"], id="one too many"),
        pytest.param({"i1": "RunnerReady", "i2": "RunnerRunning"}, [], id="a request is at work"),
        pytest.param({"i2": "RunnerReady"}, [], id="the other has gone"),
        pytest.param({"i2": "RunnerReady", "i3": "RunnerReady"}, [], id="the other's id is higher"),
        pytest.param({"i1": "RunnerReady"}, [], id="it has gone itself"),
    ],
)
async def test_of_two_our_own_goes_if_nothing_runs_on_it(
    stand: dict[str, str], gone: list[str], *, state_paths: bool
) -> None:
    get, command = crowd(**stand), FakeCommand()
    surplus = structs.replace(removal(state_paths=state_paths), only=(InstanceId("i2"),))
    async with placer(get, command) as (placing, inbox):
        placing.remove(surplus)
        event = await inbox.receive()
    assert isinstance(event, ModelRemoved)
    assert (event.count, event.surplus) == (len(gone), True)
    assert [url.rpartition("/")[2] for _, url, _ in command.sent] == gone


async def test_an_older_exo_is_asked_for_its_whole_state() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get = FakeGet()
    get.say(f"{URL}/state", f'{{"instances": {STANDING}}}')
    assert await placed(get, command, order(state_paths=False)) == ("stands", "")


@pytest.mark.parametrize("why", ["refused", "dns", "no_route", "tls"])
async def test_a_command_that_cannot_have_arrived_has_failed(why: Why) -> None:
    command = FakeCommand()
    command.answer = GetError(why, "never sent")
    assert await placed(standing_nowhere(), command) == ("failed", "never sent")


@pytest.mark.parametrize("why", ["timeout", "reset", "bad_answer"])
async def test_a_command_that_may_have_arrived_is_lost(why: Why) -> None:
    command = FakeCommand()
    command.answer = GetError(why, "no answer")
    told, _ = await placed(standing_nowhere(), command)
    assert told == "lost"
    assert len(command.sent) == 1


@pytest.mark.parametrize(("status", "told"), [(400, "unfit"), (422, "failed"), (500, "failed")])
async def test_what_exo_answers_to_a_placement(status: int, told: str) -> None:
    command = FakeCommand()
    command.answer = HttpAnswer(status, b"secret prompt")
    said, detail = await placed(standing_nowhere(), command)
    assert said == told
    assert "secret" not in detail


async def test_what_fits_nowhere_is_unfit_and_says_why() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get.say(PREVIEWS, '{"previews": [{"error": "needs 40 GB", "instance": null}]}')
    assert await placed(get, command) == ("unfit", "needs 40 GB")
    get.say(PREVIEWS, "x", status=500)
    told, detail = await placed(get, command)
    assert (told, "status 500" in detail) == ("unfit", True)
    assert not command.sent


async def test_a_node_that_does_not_tell_is_a_failure() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get.answers[f"{URL}/state/instances"] = GetError("timeout", "no answer in time")
    assert await placed(get, command) == (
        "failed",
        "10.0.0.5:52415 does not tell: no answer in time",
    )
    get.say(f"{URL}/state/instances", "nonsense")
    assert (await placed(get, command))[0] == "failed"
    get.say(f"{URL}/state/instances", "{}", status=503)
    assert (await placed(get, command))[0] == "failed"


async def test_every_instance_is_deleted() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get.say(f"{URL}/state/instances", STANDING)
    assert await removed(get, command) == (1, "")
    assert command.sent == [("DELETE", f"{URL}/instance/i1", b"")]


async def test_what_is_not_deleted_is_said() -> None:
    get, command = standing_nowhere(), FakeCommand()
    get.say(f"{URL}/state/instances", STANDING)
    command.answer = HttpAnswer(500, b"")
    assert await removed(get, command) == (0, "10.0.0.5:52415 kept an instance")
    command.answer = GetError("timeout")
    assert await removed(get, command) == (0, "10.0.0.5:52415: timeout")
    get.say(f"{URL}/state/instances", "nonsense")
    assert (await removed(get, command))[0] == 0


async def test_orders_before_it_runs_are_dropped() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    async with send, inbox:
        placing = Placer(FakeGet(), FakeCommand(), send, lambda: 0.0)
        placing.place(order())
        placing.remove(removal())
        await anyio.wait_all_tasks_blocked()
        assert inbox.statistics().current_buffer_used == 0


@pytest.mark.real_time
@pytest.mark.parametrize("generation", [pytest.param("B", marks=pytest.mark.alone), "C"])
async def test_a_pretend_exo_takes_orders(generation: Literal["B", "C"]) -> None:
    cluster = ExoCluster(generation)
    nodes, clouds = open_sessions()
    send, inbox = anyio.create_memory_object_stream[Event](8)
    async with (
        nodes, clouds, send, inbox, ExoNode(generation, cluster=cluster) as exo,
        anyio.create_task_group() as tasks,
    ):  # fmt: skip
        fetch = Fetcher(nodes)
        placing = Placer(fetch.get, fetch.command, send, lambda: 0.0)
        tasks.start_soon(placing.run)
        await anyio.wait_all_tasks_blocked()
        told: list[str] = []
        for _ in range(2):
            placing.place(order(url=exo.url))
            while not isinstance(event := await inbox.receive(), PlacementSettled):
                assert isinstance(event, PlacementChosen)
            told.append(event.told)
        assert (told, len(cluster.instances)) == (["accepted", "stands"], 1)
        placing.remove(removal(url=exo.url))
        event = await inbox.receive()
        assert isinstance(event, ModelRemoved)
        assert (event.count, event.why, cluster.instances) == (1, "", {})
        tasks.cancel_scope.cancel()
