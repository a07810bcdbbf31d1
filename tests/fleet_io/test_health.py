"""Health keeps its beat whatever nodes do, and tells the conductor what it heard."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from msgspec import structs

from exo_supervisor.core.effects import ReadPlacement, UnwatchNode, WatchNode
from exo_supervisor.core.events import (
    CapacityRead,
    CardsRead,
    Event,
    PlacementFailed,
    PlacementRead,
    ProbeAnswered,
    ProbeFailed,
)
from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import Address, InstanceId, ModelId, NodeId
from exo_supervisor.fleet_io.health import UNPROVEN_AT_ONCE, Health, Reads
from exo_supervisor.runtime.fetch import GetError
from tests.fleet_io.reads import reads
from tests.runtime.fake_get import FakeGet, noting, undated
from tests.runtime.timing import virtual

URL = "http://10.0.0.1:52415"
NODE = Address("10.0.0.1:52415")
B = NodeId("12D3KooWMd6PiVf3yFGt9pBGfY9Fzh1TBCuC19pgsXT2kCD5fVuR")
C = NodeId("a9ba47ffaa43bca4f14ab539becbbaff")
C2 = NodeId("89dad7651307910ac827b7769463953")
M = ModelId("mlx-community/tiny")
REFUSED = GetError("refused", "nothing listens there")
PROMPT = "a secret prompt"

INSTANCES = (
    b'{"i1":{"MlxRingInstance":{"shardAssignments":{"modelId":"mlx-community/tiny",'
    b'"runnerToShard":{"r1":{}},"nodeToRunner":{"n1":"r1"}}}}}'
)
RUNNERS = b'{"r1":{"RunnerReady":{}}}'
TOPOLOGY = b'{"nodes":["n1"],"connections":{}}'


def well(
    generation: str = "C",
    node_id: NodeId | None = C,
    version: str | None = "> 1.0.71",
    *,
    latency: float = 0.0,
    state_paths: bool = True,
) -> ProbeAnswered:
    assert generation in {"A", "B", "C"}
    return ProbeAnswered(
        node=NODE,
        generation=generation,  # pyright: ignore[reportArgumentType]
        node_id=node_id,
        latency=latency,
        state_paths=state_paths,
        version=version,
    )


def refused() -> ProbeFailed:
    return ProbeFailed(node=NODE, why="refused", detail="nothing listens there")


def silent() -> ProbeFailed:
    return ProbeFailed(node=NODE, why="timeout", detail="no answer in time")


def answers_c(get: FakeGet, node_id: NodeId = C) -> None:
    get.say(f"{URL}/node_id", f'"{node_id}"')
    get.say(f"{URL}/state/instances", INSTANCES)
    get.say(f"{URL}/state/runners", RUNNERS)
    get.say(f"{URL}/state/topology", TOPOLOGY)
    get.say(f"{URL}/state/lastEventAppliedIdx", b"7")
    get.say(f"{URL}/v1/models", b'{"data":[{"id":"card","hugging_face_id":"org/card"}]}')


def node_of_c() -> FakeGet:
    get = FakeGet()
    answers_c(get)
    return get


def node_of_a() -> FakeGet:
    get = FakeGet()
    answers_a(get)
    return get


def answers_a(get: FakeGet) -> None:
    get.say(f"{URL}/node_id", b"", 404)
    get.say(f"{URL}/healthcheck", b'{"status": "ok"}')
    get.say(f"{URL}/v1/topology", b'{"nodes":{"a1":{}}}')
    get.say(f"{URL}/initial_models", b'{"llama-3.2-1b":{"loading":true}}')
    get.say(f"{URL}/v1/models", b'{"data":[{"id":"llama-3.2-1b"},{"id":"dummy"}]}')


@asynccontextmanager
async def polling(
    get: FakeGet, *, interval: float = 5.0
) -> AsyncGenerator[tuple[Health, list[tuple[float, Event]]]]:
    """Run health beside a listener that notes each event with its instant."""
    heard: list[tuple[float, Event]] = []
    async with anyio.create_task_group() as tasks:
        health = Health(*reads(get), noting(heard), virtual(), interval=interval, timeout=2.0)
        tasks.start_soon(health.run)
        await anyio.wait_all_tasks_blocked()
        yield health, heard
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def watching(
    get: FakeGet, *, interval: float = 5.0, seeded: bool = True
) -> AsyncGenerator[tuple[Health, list[tuple[float, Event]]]]:
    """Run health beside a listener, with the node watched."""
    async with polling(get, interval=interval) as (health, heard):
        watch(health, seeded=seeded)
        yield health, heard


def watch(health: Health, *, seeded: bool = True) -> None:
    health.watch(WatchNode(node=NODE, url=URL, seeded=seeded))


@pytest.mark.parametrize("seeded", [True, False])
async def test_who_was_only_found_is_asked_by_what_is_bounded_for_them(*, seeded: bool) -> None:
    named, found = node_of_c(), node_of_c()
    async with anyio.create_task_group() as tasks:
        both = Reads(named, lambda: 0), Reads(found, lambda: 0)
        health = Health(*both, lambda _: None, virtual(), interval=5.0, timeout=2.0)
        tasks.start_soon(health.run)
        watch(health, seeded=seeded)
        await anyio.sleep(1.0)
        tasks.cancel_scope.cancel()
    assert (bool(named.asked), bool(found.asked)) == (seeded, not seeded)


async def test_a_node_of_c_is_asked_at_once_and_then_once_a_beat() -> None:
    get = node_of_c()
    get.delays[f"{URL}/node_id"] = 0.25
    async with watching(get) as (_, heard):
        await anyio.sleep(12.0)
    assert heard == [(0.25 + beat, well(latency=0.25)) for beat in (0.0, 5.0, 10.0)]
    assert get.asked == [(beat, f"{URL}/node_id") for beat in (0.0, 5.0, 10.0)]


@pytest.mark.parametrize(
    ("flags", "index", "version", "state_paths", "asked"),
    [
        (200, 404, "> 1.0.71", True, ["/node_id", "/v1/feature-flags"]),
        (404, 200, "<= 1.0.71", True, ["/node_id", "/v1/feature-flags", "/state/last"]),
        (404, 404, "<= 1.0.71", False, ["/node_id", "/v1/feature-flags", "/state/last"]),
    ],
)
async def test_versions_of_b_are_told_apart_once(
    flags: int, index: int, version: str, asked: list[str], *, state_paths: bool
) -> None:
    get = FakeGet()
    get.say(f"{URL}/node_id", f'"{B}"')
    get.say(f"{URL}/v1/feature-flags", b"{}", flags)
    get.say(f"{URL}/state/lastEventAppliedIdx", b"1", index)
    async with watching(get) as (_, heard):
        await anyio.sleep(6.0)
    known = well("B", B, version, state_paths=state_paths)
    assert heard == [(0.0, known), (5.0, known)]
    paths = [url.removeprefix(URL).replace("EventAppliedIdx", "") for _, url in get.asked]
    assert paths == [*asked, "/node_id"]


async def test_no_more_is_kept_of_an_answer_than_an_id_takes() -> None:
    get = FakeGet()
    get.say(f"{URL}/node_id", f'"{B}"' + " " * 60_000)
    get.say(f"{URL}/v1/feature-flags", b"{}")
    async with watching(get) as (_, heard):
        await anyio.sleep(6.0)
    assert [event for _, event in heard] == [well("B", B)] * 2
    assert [url.removeprefix(URL) for _, url in get.asked] == ["/node_id", "/v1/feature-flags"] * 2


async def test_what_a_fingerprint_could_not_learn_is_asked_again() -> None:
    get = FakeGet()
    get.say(f"{URL}/node_id", f'"{B}"')
    get.answers[f"{URL}/v1/feature-flags"] = GetError("reset")
    get.say(f"{URL}/state/lastEventAppliedIdx", b"1")
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.say(f"{URL}/v1/feature-flags", b"{}")
        await anyio.sleep(5.0)
    assert [event for _, event in heard] == [well("B", B, None), well("B", B)]


async def test_after_a_failure_the_fingerprint_is_taken_again() -> None:
    get = FakeGet()
    get.say(f"{URL}/node_id", f'"{B}"')
    get.say(f"{URL}/v1/feature-flags", b"{}")
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        node_id = get.answers[f"{URL}/node_id"]
        get.answers[f"{URL}/node_id"] = GetError("timeout")
        await anyio.sleep(5.0)
        get.answers[f"{URL}/node_id"] = node_id
        get.say(f"{URL}/v1/feature-flags", b"", 404)
        await anyio.sleep(5.0)
    assert [event for _, event in heard] == [
        well("B", B),
        ProbeFailed(node=NODE, why="timeout"),
        well("B", B, "<= 1.0.71", state_paths=False),
    ]


async def test_a_node_of_a_that_is_well_no_more_is_not_known_by_the_path_that_it_lacks() -> None:
    get = node_of_a()
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.say(f"{URL}/healthcheck", b"", 500)
        await anyio.sleep(5.0)
    assert [type(event) for _, event in heard] == [ProbeAnswered, ProbeFailed]


async def test_generation_a_is_asked_for_its_healthcheck_after_the_fingerprint() -> None:
    get = node_of_a()
    async with watching(get) as (_, heard):
        await anyio.sleep(6.0)
    known = well("A", None, "<= 0.0.15", state_paths=False)
    assert heard == [(0.0, known), (5.0, known)]
    assert [url.removeprefix(URL) for _, url in get.asked] == [
        "/node_id",
        "/healthcheck",
        "/healthcheck",
    ]


async def test_a_hanging_node_costs_its_timeout_and_the_beat_goes_on() -> None:
    get = node_of_c()
    get.delays[f"{URL}/node_id"] = 1000.0
    async with watching(get) as (_, heard):
        await anyio.sleep(12.5)
    assert heard == [(2.0, silent()), (7.0, silent()), (12.0, silent())]


async def test_silence_after_health_keeps_the_beat() -> None:
    get = node_of_c()
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.delays[f"{URL}/node_id"] = 1000.0
        await anyio.sleep(12.0)
    assert heard == [(0.0, well()), (7.0, silent()), (12.0, silent())]


async def test_a_killed_node_is_down_two_seconds_after_the_beat_that_missed_it() -> None:
    """Refusals are looked at again after 1 s until they are three, then once a beat."""
    get = node_of_c()
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.answers[f"{URL}/node_id"] = REFUSED
        await anyio.sleep(17.0)
    assert heard == [(0.0, well()), *((at, refused()) for at in (5.0, 6.0, 7.0, 12.0, 17.0))]


async def test_a_node_that_is_back_is_asked_for_its_second_answer_soon() -> None:
    get = node_of_c()
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.answers[f"{URL}/node_id"] = REFUSED
        await anyio.sleep(7.5)
        answers_c(get, C2)
        await anyio.sleep(10.0)
    assert heard[4:] == [(at, well(node_id=C2)) for at in (12.0, 13.0, 18.0)]


@pytest.mark.parametrize("after", [0.0, 2.5, 4.8])
async def test_a_host_that_leaves_before_a_reading_is_missed_as_soon_as_any(after: float) -> None:
    """The reading hangs for five seconds; three probes that go unanswered end within 17 s."""
    get = node_of_c()
    async with watching(get) as (health, heard):
        await anyio.sleep(0.1)
        get.delays = dict.fromkeys(get.answers, 60.0)
        await anyio.sleep(after)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(12.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(20.0)
    missed = [at for at, event in heard if event == silent()]
    assert missed[2] <= 0.1 + 17.0
    assert missed[2] - missed[0] >= 5.0


async def test_of_a_node_that_is_slow_to_say_who_it_is_the_state_is_read_and_the_beat_kept() -> (
    None
):
    """It may be at work on a long prompt, and its state is what says so."""
    get = node_of_c()
    async with watching(get) as (health, heard):
        await anyio.sleep(0.1)
        get.delays[f"{URL}/node_id"] = 60.0
        get.delays[f"{URL}/state/runners"] = 1.0
        await anyio.sleep(7.4)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(4.0)
        get.delays[f"{URL}/state/runners"] = 60.0
        await anyio.sleep(21.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(6.0)
    told = [(at, event) for at, event in heard if not isinstance(event, ProbeAnswered)]
    assert told[:3] == [(7.0, silent()), (8.5, placed()), (12.0, silent())]
    assert (35.0, PlacementFailed(node=NODE, why="timeout")) in told
    missed = [at for at, event in heard if event == silent()]
    assert missed == [7.0, 12.0, 17.0, 22.0, 27.0, 32.0, 37.0]


async def test_who_is_only_somebodys_word_and_silent_is_asked_ever_more_rarely() -> None:
    get = FakeGet()
    get.answers[f"{URL}/node_id"] = REFUSED
    async with watching(get, seeded=False) as (_, heard):
        await anyio.sleep(100.0)
        assert [at for at, _ in heard] == [0.0, 5.0, 15.0, 35.0, 65.0, 95.0]
        answers_c(get)
        await anyio.sleep(40.0)
    assert [at for at, event in heard if event == well()] == [125.0, 130.0, 135.0]


async def test_of_nodes_that_are_only_somebodys_word_so_many_are_asked_at_once() -> None:
    """A flood of them takes neither every socket nor the turn of a node that is named or known."""
    get = node_of_c()
    async with watching(get, seeded=False) as (health, heard):
        await anyio.sleep(1.0)
        for n in range(3 * UNPROVEN_AT_ONCE):
            url = f"http://10.9.0.1:{n}"
            get.delays[f"{url}/node_id"] = 60.0
            health.watch(WatchNode(node=Address(f"10.9.0.1:{n}"), url=url))
        other = "http://10.0.0.2:1"
        get.delays[f"{other}/node_id"] = 60.0
        health.watch(WatchNode(node=Address("10.0.0.2:1"), url=other, seeded=True))
        await anyio.sleep(5.5)
    strangers = [at for at, url in get.asked if "10.9.0.1" in url]
    assert [strangers.count(at) for at in (1.0, 3.0, 5.0)] == [UNPROVEN_AT_ONCE] * 3
    assert [at for at, url in get.asked if "10.0.0.2" in url] == [1.0, 6.0]
    assert [(at, event) for at, event in heard if event == well()] == [(0.0, well()), (5.0, well())]


async def test_a_node_that_was_never_well_is_asked_once_a_beat() -> None:
    get = FakeGet()
    get.answers[f"{URL}/node_id"] = REFUSED
    async with watching(get) as (_, heard):
        await anyio.sleep(11.0)
    assert heard == [(at, refused()) for at in (0.0, 5.0, 10.0)]


async def test_a_beat_shorter_than_a_second_is_never_stretched() -> None:
    get = node_of_c()
    async with watching(get, interval=0.5) as (_, heard):
        await anyio.sleep(0.25)
        get.answers[f"{URL}/node_id"] = REFUSED
        await anyio.sleep(1.5)
    assert heard == [(0.0, well()), *((at, refused()) for at in (0.5, 1.0, 1.5))]


async def test_something_else_than_exo_is_told_from_a_node_that_fails() -> None:
    get = FakeGet()
    get.say(f"{URL}/node_id", b"<html>hello</html>")
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.say(f"{URL}/node_id", b"Bad Gateway", 502)
        await anyio.sleep(5.0)
        get.say(f"{URL}/node_id", b"nginx", 404)
        await anyio.sleep(5.0)
        get.say(f"{URL}/node_id", b"x" * 100_000)
        await anyio.sleep(5.0)
    found = [event for _, event in heard]
    assert [event.why for event in found if isinstance(event, ProbeFailed)] == [
        "not_exo",
        "bad_answer",
        "not_exo",
        "bad_answer",
    ]
    assert all("hello" not in repr(event) for event in found)


async def test_another_generation_at_the_same_address_is_recognised_in_one_beat() -> None:
    get = node_of_a()
    async with watching(get) as (_, heard):
        await anyio.sleep(1.0)
        get.answers.clear()
        answers_c(get)
        await anyio.sleep(5.0)
        get.answers.clear()
        answers_a(get)
        await anyio.sleep(5.0)
    generations = [event.generation for _, event in heard if isinstance(event, ProbeAnswered)]
    assert generations == ["A", "C", "A"]


async def test_an_unwatched_node_is_left_alone_even_in_the_middle_of_a_probe() -> None:
    get = node_of_c()
    get.delays[f"{URL}/node_id"] = 1.0
    async with watching(get) as (health, heard):
        await anyio.sleep(0.5)
        health.unwatch(UnwatchNode(node=NODE))
        await anyio.sleep(20.0)
        assert len(health) == 0
    assert heard == []
    assert len(get.asked) == 1


async def test_a_node_unwatched_and_watched_again_has_one_poller() -> None:
    get = node_of_c()
    async with watching(get) as (health, heard):
        watch(health)
        health.unwatch(UnwatchNode(node=NODE))
        watch(health)
        await anyio.sleep(1.0)
    assert heard == [(0.0, well())]


async def test_what_is_watched_before_the_start_is_polled_and_survives_a_restart() -> None:
    get = node_of_c()
    heard: list[tuple[float, Event]] = []
    health = Health(*reads(get), noting(heard), virtual(), interval=5.0, timeout=2.0)
    watch(health)
    health.read(ReadPlacement(node=NODE))
    for _ in range(2):
        with anyio.move_on_after(1.0):
            await health.run()
    assert [event for _, event in heard] == [well(), placed(), well()]


async def test_a_reading_tells_when_it_began_and_a_miss_when_the_node_was_seen_at_work() -> None:
    get = node_of_c()
    get.delays[f"{URL}/state/runners"] = 0.75
    send, inbox = anyio.create_memory_object_stream[Event](64)
    began = anyio.current_time()
    async with send, inbox, anyio.create_task_group() as tasks:
        health = Health(
            *reads(get), send.send_nowait, virtual(),
            interval=5.0, timeout=2.0, lived_at={NODE: 41.5}.get,
        )  # fmt: skip
        watch(health)
        tasks.start_soon(health.run)
        await inbox.receive()
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        assert await inbox.receive() == structs.replace(placed(), asked_at=began + 1.0)
        assert anyio.current_time() == began + 1.75
        get.answers[f"{URL}/node_id"] = GetError("refused", "nothing listens there")
        assert await inbox.receive() == structs.replace(refused(), lived_at=41.5)
        tasks.cancel_scope.cancel()


def stands(*, ready: bool = True, why: str = "", progress: str | None = None) -> Placed:
    only = Instance(InstanceId("i1"), ready, why, progress, (NodeId("n1"),))
    return Placed(M, ready, why, progress, (only,))


def placed(*mates: str, ready: bool = True, why: str = "") -> PlacementRead:
    models = (stands(ready=ready, why=why),)
    listed = (NodeId("n1"), *map(NodeId, mates))
    return PlacementRead(node=NODE, listed=listed, models=models, index=7, runners=1)


@pytest.mark.parametrize(
    ("mates", "seen", "ready"),
    [
        (("n2",), b'{"n1":"2026-11-23T05:46:24Z","n2":"2026-11-23T05:46:24Z"}', True),
        (("n2",), b'{"n1":"2026-11-23T05:46:08Z","n2":"2026-11-23T05:46:24Z"}', False),
        ((), b'{"n1":"2026-11-23T05:46:08Z","ghost":"2026-11-23T05:46:24Z"}', True),
        ((), None, True),
    ],
)
async def test_a_wanted_placement_is_read_at_once_by_five_small_paths(
    mates: tuple[str, ...], seen: bytes | None, *, ready: bool
) -> None:
    get = node_of_c()
    get.say(f"{URL}/state/topology", json.dumps({"nodes": ["n1", *mates]}).encode())
    if seen is not None:
        get.say(f"{URL}/state/lastSeen", seen)
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(5.0)
    told = placed(*mates, ready=ready, why="" if ready else "host_silent")
    assert heard == [(0.0, well()), (1.0, told), (5.0, well())]
    assert [url.removeprefix(URL) for at, url in get.asked if at == 1.0] == [
        "/state/lastEventAppliedIdx",
        "/state/instances",
        "/state/runners",
        "/state/topology",
        "/state/lastSeen",
    ]


MEMORY = b'{"n1":{"ramTotal":{"inBytes":64},"ramAvailable":{"inBytes":48}}}'


def capable(ghosts: int = 0) -> CapacityRead:
    return CapacityRead(node=NODE, capacities={NodeId("n1"): Capacity(64, 48)}, ghosts=ghosts)


async def test_capacities_are_read_only_when_wanted_and_what_fails_is_not_known() -> None:
    get = node_of_c()
    get.say(f"{URL}/state/nodeMemory", MEMORY)
    get.say(f"{URL}/state/nodeIdentities", b'{"n1":{},"ghost":{}}')
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE, capacity=True))
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(1.0)
        del get.answers[f"{URL}/state/nodeMemory"], get.answers[f"{URL}/state/nodeIdentities"]
        health.read(ReadPlacement(node=NODE, capacity=True))
        await anyio.sleep(1.0)
    assert heard == [
        (0.0, well()),
        (1.0, placed()),
        (1.0, capable(ghosts=1)),
        (2.0, placed()),
        (3.0, placed()),
    ]
    paths = [url.removeprefix(URL) for at, url in get.asked if at == 1.0]
    assert paths[5:] == [
        "/state/downloads", "/state/nodeMemory", "/state/nodeSystem", "/state/nodeIdentities",
    ]  # fmt: skip


async def test_capacities_that_come_slowly_delay_nothing_that_was_read() -> None:
    get = node_of_c()
    get.delays[f"{URL}/state/nodeMemory"] = 1000.0
    async with watching(get, interval=60.0) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE, capacity=True))
        await anyio.sleep(10.0)
    assert heard == [(0.0, well()), (1.0, placed())]


async def test_generation_a_and_an_old_b_tell_their_capacities_unasked() -> None:
    get = node_of_a()
    get.say(f"{URL}/v1/topology", b'{"nodes":{"a1":{"chip":"Apple M1","memory":2}}}')
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE, capacity=True))
        await anyio.sleep(1.0)
        get.say(f"{URL}/node_id", f'"{B}"')
        del get.answers[f"{URL}/healthcheck"]
        await anyio.sleep(5.0)
        state = b'{"instances":{},"runners":{},"topology":' + TOPOLOGY + b',"nodeMemory":'
        get.say(f"{URL}/state", state + MEMORY + b"}")
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(1.0)
    read = [event for _, event in heard if isinstance(event, CapacityRead)]
    own = Capacity(memory_total=2 * 2**20, chip="Apple M1")
    assert read == [CapacityRead(node=NODE, capacities={}, own=own), capable()]


async def test_cards_are_read_when_wanted_and_tried_again_when_they_fail() -> None:
    get = node_of_c()
    cards = get.answers.pop(f"{URL}/v1/models")
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE, cards=True))
        await anyio.sleep(1.0)
        get.answers[f"{URL}/v1/models"] = cards
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(1.0)
    read = CardsRead(node=NODE, cards={ModelId("card"): (), ModelId("org/card"): ()})
    assert heard == [
        (0.0, well()),
        (1.0, placed()),
        (2.0, placed()),
        (2.0, read),
        (3.0, placed()),
    ]


async def test_an_old_b_tells_its_placement_in_its_whole_state() -> None:
    get = FakeGet()
    get.say(f"{URL}/node_id", f'"{B}"')
    state = (
        b'{"instances":' + INSTANCES + b',"runners":{"r1":{"RunnerLoading":{"layersLoaded":3,'
        b'"totalLayers":9}}},"topology":' + TOPOLOGY + b',"lastEventAppliedIdx":4,'
        b'"tasks":{"t":{"TextGeneration":{"prompt":"' + PROMPT.encode() + b'"}}}}'
    )
    get.say(f"{URL}/state", state)
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(1.0)
    loading = stands(ready=False, why="loading", progress="3 of 9 layers loaded")
    listed = (NodeId("n1"),)
    read = PlacementRead(node=NODE, listed=listed, models=(loading,), index=4, runners=1)
    assert heard[1:] == [(1.0, read)]
    assert PROMPT not in repr(heard)


@pytest.mark.parametrize(
    ("topology", "ready", "why"),
    [
        (b'{"nodes":{"a1":{}}}', True, "loads at first request"),
        (b'{"nodes":{}}', False, "its topology is empty"),
    ],
)
async def test_generation_a_is_ready_for_all_that_it_can_load(
    topology: bytes, why: str, *, ready: bool
) -> None:
    get = node_of_a()
    get.say(f"{URL}/v1/topology", topology)
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE, cards=True))
        await anyio.sleep(1.0)
    listed = (NodeId("a1"),) if ready else ()
    models = (Placed(ModelId("llama-3.2-1b"), ready, why),)
    assert [event for _, event in heard[1:]] == [
        PlacementRead(node=NODE, listed=listed, models=models),
        CardsRead(node=NODE, cards={ModelId("llama-3.2-1b"): (), ModelId("dummy"): ()}),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}garbage", b"[" * 100_000, b'"\xff"'])
async def test_no_state_that_a_node_sends_ends_its_poller(body: bytes) -> None:
    get = node_of_c()
    get.say(f"{URL}/state/instances", body)
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(5.0)
    failed = PlacementFailed(node=NODE, why="bad_answer")
    assert heard == [(0.0, well()), (1.0, failed), (5.0, well())]


async def test_a_state_that_never_comes_delays_the_beat_by_its_timeout_at_most() -> None:
    get = node_of_c()
    get.delays[f"{URL}/state/runners"] = 1000.0
    async with watching(get) as (health, heard):
        await anyio.sleep(4.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(6.5)
    failed = PlacementFailed(node=NODE, why="timeout")
    assert heard == [(0.0, well()), (9.0, failed), (9.0, well())]


async def test_a_reading_wanted_during_a_reading_follows_it_and_several_are_one() -> None:
    get = node_of_c()
    get.delays[f"{URL}/state/instances"] = 0.125
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(0.0625)
        for _ in range(5):
            health.read(ReadPlacement(node=NODE))
        await anyio.sleep(3.5)
    assert heard == [(0.0, well()), (1.125, placed()), (3.75, placed())]


async def test_a_state_that_takes_long_is_read_ever_more_rarely() -> None:
    """It may take half a second; then the node is left in peace for ten, whoever wants it."""
    get = node_of_c()
    get.delays[f"{URL}/state/instances"] = 0.5
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        for _ in range(30):
            health.read(ReadPlacement(node=NODE))
            await anyio.sleep(1.0)
    assert [at for at, url in get.asked if url.endswith("/instances")] == [1.0, 11.5, 22.0]
    read = [at for at, event in heard if isinstance(event, PlacementRead)]
    assert read == [1.5, 12.0, 22.5]


async def test_a_state_that_never_comes_takes_nobody_down_and_is_asked_for_ever_more_rarely() -> (
    None
):
    get = node_of_c()
    get.delays[f"{URL}/state/instances"] = 1000.0
    async with watching(get) as (health, heard):
        await anyio.sleep(1.0)
        for _ in range(120):
            health.read(ReadPlacement(node=NODE))
            await anyio.sleep(1.0)
    assert [at for at, url in get.asked if url.endswith("/instances")] == [1.0, 6.0, 111.0]
    assert not [event for _, event in heard if isinstance(event, ProbeFailed)]


async def test_a_node_slower_than_its_beat_still_gets_its_placement_read() -> None:
    get = node_of_c()
    get.delays[f"{URL}/node_id"] = 0.75
    async with watching(get, interval=0.5) as (health, heard):
        await anyio.sleep(1.0)
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(1.0)
    assert (1.5, placed()) in heard


async def test_a_reading_wanted_before_the_node_is_known_waits_for_its_first_answer() -> None:
    get = node_of_c()
    get.delays[f"{URL}/node_id"] = 1.0
    async with watching(get) as (health, heard):
        health.read(ReadPlacement(node=NODE))
        await anyio.sleep(2.0)
    assert heard == [(1.0, well(latency=1.0)), (1.0, placed())]


async def test_a_reading_of_an_unknown_node_is_ignored() -> None:
    async with polling(FakeGet()) as (health, heard):
        health.read(ReadPlacement(node=NODE))
        health.unwatch(UnwatchNode(node=NODE))
        await anyio.sleep(1.0)
    assert heard == []


async def test_who_is_told_of_an_answer_may_want_a_reading_or_the_end_on_the_spot() -> None:
    """What is told is decided on at once, and so is carried out in the midst of a beat."""
    get = node_of_c()
    heard: list[Event] = []

    def decide(event: Event) -> None:
        heard.append(undated(event))
        if isinstance(event, ProbeAnswered):
            health.read(ReadPlacement(node=NODE))
        else:
            health.unwatch(UnwatchNode(node=NODE))

    async with anyio.create_task_group() as tasks:
        health = Health(*reads(get), decide, virtual(), interval=5.0, timeout=2.0)
        tasks.start_soon(health.run)
        watch(health)
        await anyio.sleep(20.0)
        assert heard == [well(), placed()]
        assert len(health) == 0
        tasks.cancel_scope.cancel()
