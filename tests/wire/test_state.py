"""Exo's state: what is placed and ready."""

import contextlib
import json
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.faults import WireError
from exo_supervisor.wire.state import Readiness, read_full_state, read_state

RECORDINGS = Path(__file__).parent.parent / "recordings"
STATES = sorted(RECORDINGS.glob("gen-[bc]/**/*state*.trimmed.json"))
FULL = [path for path in STATES if b'"runners"' in path.read_bytes()]
TINY = "local/tiny-llama"


def part(name: str) -> bytes:
    return (RECORDINGS / f"{name}.trimmed.json").read_bytes()


def instance(model: str, runners: list[str]) -> dict[str, object]:
    shards: dict[str, object] = {
        "modelId": model,
        "runnerToShard": {runner: {"PipelineShardMetadata": {}} for runner in runners},
    }
    return {"MlxRingInstance": {"shardAssignments": shards}}


def readiness(statuses: dict[str, object], runners: list[str] | None = None) -> Readiness:
    names = list(statuses) if runners is None else runners
    placement = read_state(
        json.dumps({"i": instance("m", names)}).encode(),
        json.dumps(statuses).encode(),
        b'{"nodes":[]}',
        b"null",
    )
    return next(iter(placement.models.values()))


@pytest.mark.parametrize("generation", ["gen-b", "gen-c"])
def test_a_recorded_ready_instance_is_ready(generation: str) -> None:
    parts = [part(f"{generation}/solo/get-state-{x}-ready") for x in ("instances", "runners")]
    topology = part(f"{generation}/solo/get-state-topology")
    placement = read_state(parts[0], parts[1], topology, b"12")
    assert placement.index == 12
    assert len(placement.nodes) == 1
    model = placement.models[next(iter(placement.models))]
    assert list(placement.models) == [TINY]
    assert (model.ready, model.why) == (True, "ready")


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
    assert (found.ready, found.why, found.progress) == (why == "ready", why, None)


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
    placement = read_state(
        json.dumps(instances).encode(), json.dumps(runners).encode(), b'{"nodes":[]}', b"1"
    )
    (model,) = placement.models.values()
    assert model == Readiness(ready=True, why="ready", progress=None)


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
    "instances": {"i": instance("m", ["r"])},
    "runners": {"r": {"RunnerLoading": {"layersLoaded": 1, "totalLayers": 4}}},
    "topology": {"nodes": ["n"]},
    "lastEventAppliedIdx": 5,
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
