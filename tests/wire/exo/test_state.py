"""Exo's state: what is placed and ready."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import InstanceId, ModelId, NodeId
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.state import MAX_ORPHANS, Placement, read_full_state, read_state

RECORDINGS = Path(__file__).parents[2] / "recordings"
STATES = sorted(RECORDINGS.glob("gen-[bc]/**/*state*.trimmed.json"))
FULL = [path for path in STATES if b'"runners"' in path.read_bytes()]
TINY = "local/tiny-llama"


def part(name: str) -> bytes:
    return (RECORDINGS / f"{name}.trimmed.json").read_bytes()


def instance(model: str, runners: list[str], hosts: str = "") -> dict[str, object]:
    shards: dict[str, object] = {
        "modelId": model,
        "runnerToShard": {runner: {"PipelineShardMetadata": {}} for runner in runners},
        "nodeToRunner": dict(zip(hosts.split(), runners, strict=False)),
    }
    return {"MlxRingInstance": {"shardAssignments": shards}}


def read(
    instances: Mapping[str, object], runners: Mapping[str, object], seen: object = None
) -> Placement:
    what, who, when = (json.dumps(part).encode() for part in (instances, runners, seen))
    return read_state(what, who, b'{"nodes":["n","n1","n2"]}', b"1", when)


def readiness(statuses: dict[str, object], runners: list[str] | None = None) -> Placed:
    names = list(statuses) if runners is None else runners
    [model] = read({"i": instance("m", names)}, statuses).models
    return model


@pytest.mark.parametrize("generation", ["gen-b", "gen-c"])
def test_a_recorded_ready_instance_is_ready(generation: str) -> None:
    parts = [part(f"{generation}/solo/get-state-{x}-ready") for x in ("instances", "runners")]
    topology = part(f"{generation}/solo/get-state-topology")
    placement = read_state(parts[0], parts[1], topology, b"12")
    assert placement.index == 12
    assert len(placement.nodes) == 1
    [model] = placement.models
    assert (model.model, model.ready, model.why) == (TINY, True, "")
    [only] = model.instances
    assert (only.ready, only.hosts) == (True, placement.nodes)
    assert only.id in json.loads(parts[0])


@pytest.mark.parametrize("path", FULL, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_recorded_state_is_read(path: Path) -> None:
    placement = read_full_state(path.read_bytes())
    raw = json.loads(path.read_bytes())
    assert placement.nodes == tuple(raw["topology"]["nodes"])
    assert placement.index == raw["lastEventAppliedIdx"]
    assert bool(placement.models) == bool(raw["instances"])


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("RunnerReady", "ready"),
        ("RunnerRunning", "ready"),
        ("RunnerIdle", "idle"),
        ("RunnerConnecting", "connecting"),
        ("RunnerConnected", "connected"),
        ("RunnerLoaded", "loaded"),
        ("RunnerWarmingUp", "warming_up"),
        ("RunnerShuttingDown", "shutting_down"),
        ("RunnerShutdown", "shutting_down"),
        ("RunnerFailed", "runner_failed"),
        ("RunnerDancing", "unknown"),
    ],
)
def test_an_instance_is_as_good_as_its_worst_runner(status: str, why: str) -> None:
    found = readiness({"r1": {"RunnerReady": {}}, "r2": {status: {}}})
    ready = why == "ready"
    assert (found.ready, found.why, found.progress) == (ready, "" if ready else why, None)


@pytest.mark.parametrize("tags", ["RunnerReady RunnerFailed", "RunnerFailed RunnerReady"])
def test_a_runner_with_several_tags_is_as_bad_as_the_worst(tags: str) -> None:
    found = readiness({"r1": {"RunnerReady": {}}, "r2": {tag: {} for tag in tags.split()}})
    assert (found.ready, found.why) == (False, "runner_failed")


@pytest.mark.parametrize(
    ("statuses", "running"),
    [
        ({"r1": {"RunnerReady": {}}, "r2": {"RunnerReady": {"prefillServerPort": None}}}, False),
        ({"r1": {"RunnerReady": {}}, "r2": {"RunnerRunning": {}}}, True),
        ({"r1": {"RunnerReady": {}}, "r2": {}, "r3": {"RunnerRunning": {}}}, False),
    ],
    ids=["none", "one", "one of another instance"],
)
def test_an_instance_is_at_work_if_one_of_its_runners_is(
    statuses: dict[str, object], *, running: bool
) -> None:
    [one] = readiness(statuses, ["r1", "r2"]).instances
    assert one.running == running


def test_loading_tells_how_far_it_is() -> None:
    found = readiness(
        {
            "r1": {"RunnerLoading": {"layersLoaded": 40, "totalLayers": 24}},
            "r2": {"RunnerLoading": {"layersLoaded": 1, "totalLayers": 24}},
        }
    )
    assert (found.ready, found.why, found.progress) == (False, "loading", "41 of 48 layers loaded")
    assert readiness({"r": {"RunnerLoading": {}}}).progress is None


def test_an_instance_without_runners_is_not_ready() -> None:
    assert readiness({}, []).why == "no_runners"
    assert readiness({}, ["gone"]).why == "no_runners"
    assert readiness({"r": {}}).why == "no_runners"


def test_one_ready_instance_makes_the_model_ready() -> None:
    instances = {"i1": instance("m", ["r1"]), "i2": instance("m", ["r2"])}
    runners: dict[str, object] = {"r1": {"RunnerFailed": {}}, "r2": {"RunnerReady": {}}, "odd": 5}
    [model] = read(instances, runners).models
    failed = Instance(InstanceId("i1"), ready=False, why="runner_failed")
    ready = Instance(InstanceId("i2"), ready=True)
    assert model == Placed(ModelId("m"), ready=True, instances=(ready, failed)), "the best first"


def seen_at(**stamps: object) -> tuple[bool, str]:
    instances: dict[str, object] = {"i": instance("m", ["r1", "r2"], "n1 n2")}
    runners: dict[str, object] = {"r1": {"RunnerReady": {}}, "r2": {"RunnerReady": {}}}
    [model] = read(instances, runners, stamps).models
    assert model.instances[0].hosts == (NodeId("n1"), NodeId("n2"))
    return model.ready, model.why


@pytest.mark.parametrize(
    ("last", "silent"),
    [
        ("2026-11-23T05:46:23.973407Z", False),
        ("2026-11-23T05:46:09Z", False),
        ("2026-11-23T05:46:08.999Z", True),
        ("2026-11-23T05:46:08.999123456", True),
        ("2026-11-23T07:46:20+02:00", False),
        ("2026-11-23T05:46:20+02:00", True),
        ("2026-11-23", True),
        ("just now", False),
        (1763876783.9, False),
        (None, False),
    ],
)
def test_a_host_that_the_master_has_not_heard_of_is_silent(last: object, *, silent: bool) -> None:
    expected = (not silent, "host_silent" if silent else "")
    assert seen_at(n1="2026-11-23T05:46:24Z", n2=last) == expected
    assert seen_at(n1="2026-11-23T05:46:24", n2=last) == expected
    assert seen_at(elsewhere="2026-11-23T05:46:24Z", n1="2026-11-23T05:46:24Z", n2=last) == expected


def test_a_ghost_that_was_seen_in_the_future_makes_nobody_silent() -> None:
    both = {"n1": "2026-11-23T05:46:24Z", "n2": "2026-11-23T05:46:23Z"}
    assert seen_at(ghost="2031-01-01T00:00:00Z", **both) == (True, "")


def test_without_a_word_of_who_was_seen_nobody_is_silent() -> None:
    assert seen_at() == (True, "")
    assert seen_at(n1="2026-11-23T05:46:24Z") == (True, ""), "the other is not told of"
    instances: dict[str, object] = {"i": instance("m", ["r"], "n")}
    for seen in (None, ["n"], 5, "x"):
        assert read(instances, {"r": {"RunnerReady": {}}}, seen).models[0].ready


def test_a_silent_host_outweighs_what_its_runners_last_said() -> None:
    seen = {"n1": "2026-11-23T05:46:24Z", "n2": "2026-11-23T05:45:24Z"}
    instances: dict[str, object] = {"i": instance("m", ["r"], "n2"), "j": instance("m", ["s"])}
    loading: dict[str, object] = {"RunnerLoading": {"layersLoaded": 1, "totalLayers": 4}}
    [model] = read(instances, {"r": loading, "s": loading}, seen).models
    assert (model.why, model.progress) == ("loading", "1 of 4 layers loaded")
    assert [(one.why, one.progress) for one in model.instances][1] == ("host_silent", None)


def test_only_runners_of_no_instance_that_shut_down_are_orphans() -> None:
    runners: dict[str, object] = {
        "own": {"RunnerShuttingDown": {}},
        "leaving": {"RunnerShuttingDown": {}},
        "left": {"RunnerShutdown": {}},
        "lingering": {"RunnerRunning": {}},
        "failed": {"RunnerFailed": {}},
        "odd": 5,
    }
    placement = read({"i": instance("m", ["own", "unborn"])}, runners)
    assert (placement.runners, placement.orphans) == (2, ("leaving", "left"))
    leaving: object = {"RunnerShuttingDown": {}}
    many = dict.fromkeys((f"r{n}" for n in range(MAX_ORPHANS + 1)), leaving)
    assert read({}, many).orphans == tuple(many)[1:], "the newest of too many"


def old_state() -> dict[str, object]:
    return {
        "instances": {},
        "runners": {},
        "topology": {
            "nodes": [{"nodeId": "n1", "nodeProfile": {}}, {"nodeId": "n2"}],
            "connections": [{"localNodeId": "n1", "sendBackNodeId": "n2"}],
        },
    }


def test_the_first_versions_of_b_are_read() -> None:
    placement = read_full_state(json.dumps(old_state()).encode())
    assert placement.nodes == ("n1", "n2")
    assert placement.index is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"instances":5}'])
def test_what_is_no_state_is_a_wire_error(body: bytes) -> None:
    with pytest.raises(WireError):
        read_full_state(body)
    with pytest.raises(WireError):
        read_state(b"{}", b"{}", body, b"5")


SEED: dict[str, object] = {
    "instances": {"i": instance("m", ["r"], "n")},
    "runners": {"r": {"RunnerLoading": {"layersLoaded": 1, "totalLayers": 4}}},
    "topology": {"nodes": ["n"]},
    "lastEventAppliedIdx": 5,
    "lastSeen": {"n": "2026-11-23T05:46:24Z", "m": "2026-11-23T05:40:24Z"},
}
ODD = st.sampled_from([None, 5, -1.5, "x", [], {}, [5], {"x": 5}, True, "/ip4/1.2.3.4/tcp/5"])


def paths(value: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner: list[tuple[object, object]] = []
    if isinstance(value, dict):
        inner = list(cast("dict[object, object]", value).items())
    elif isinstance(value, list):
        inner = list(enumerate(cast("list[object]", value)))
    return [here, *(path for key, one in inner for path in paths(one, (*here, key)))]


@given(data=st.data())
def test_a_hostile_state_is_read_or_a_wire_error(data: st.DataObject) -> None:
    state = json.loads(json.dumps(SEED | (old_state() if data.draw(st.booleans()) else {})))
    path = data.draw(st.sampled_from(paths(state)[1:]))
    place = state
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(ODD)
    with contextlib.suppress(WireError):
        read_full_state(json.dumps(state).encode())


@pytest.mark.parametrize("part", ["instances", "runners", "nodes"])
def test_a_part_of_too_many_values_is_not_decoded(part: str) -> None:
    """What would keep the whole house for seconds; the tasks of a busy cluster are passed over."""
    many = 60_000
    state: dict[str, object] = {
        "instances": {"i": instance("m", ["r"])},
        "runners": {"r": {"RunnerReady": {}}},
        "topology": {"nodes": ["n"]},
        "tasks": {"t": [0] * many},
    }
    assert read_full_state(json.dumps(state).encode()).models[0].ready
    state |= {
        "instances": {"instances": {"i": [0] * many}},
        "runners": {"runners": {"r": [0] * many}},
        "nodes": {"topology": {"nodes": [0] * many}},
    }[part]
    with pytest.raises(WireError, match="more than"):
        read_full_state(json.dumps(state).encode())
