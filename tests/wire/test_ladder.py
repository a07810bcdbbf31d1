"""Every recorded state leads to the rung that its cluster stood on, and no bent one harms.

The shape of 1.0.60 is written down from its source; no recording of it exists.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.events import CapacityRead, PlacementRead
from exo_supervisor.core.names import Address, NodeId
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.capacity import read_full_machines, read_machines
from exo_supervisor.wire.exo.state import (
    MAX_ORPHANS,
    Placement,
    read_full_state,
    read_state,
    with_downloads,
)
from tests.core.invariants import check_clusters, check_index, check_judgement
from tests.core.story import LOCAL, Story

RECORDINGS = Path(__file__).parent.parent / "recordings"
TINY = "local/tiny-llama"
N = Address("n:1")
SECONDS = 10.0
"""For one state of the recordings' size, however it is bent; it takes a millisecond or two."""

OLD_PROFILE = {
    "modelId": "Mac Studio",
    "chipId": "Apple M3 Ultra",
    "friendlyName": "studio",
    "memory": {
        "ramTotal": {"inBytes": 549755813888},
        "ramAvailable": {"inBytes": 412316860416},
        "swapTotal": {"inBytes": 0},
        "swapAvailable": {"inBytes": 0},
    },
    "networkInterfaces": [{"name": "en0", "ipAddress": "192.168.1.7"}],
    "system": {
        "gpuUsage": 0.31,
        "temp": 48.5,
        "sysPower": 62.0,
        "pcpuUsage": 0.12,
        "ecpuUsage": 0.2,
        "anePower": 0.0,
    },
}
OLD: dict[str, object] = {
    "instances": {
        "i1": {
            "MlxRingInstance": {
                "instanceId": "i1",
                "shardAssignments": {
                    "modelId": "mlx-community/Llama-3.2-1B-Instruct-4bit",
                    "runnerToShard": {
                        "r1": {"PipelineShardMetadata": {"deviceRank": 0, "worldSize": 2}},
                        "r2": {"PipelineShardMetadata": {"deviceRank": 1, "worldSize": 2}},
                    },
                    "nodeToRunner": {"n1": "r1", "n2": "r2"},
                },
                "hosts": [{"ip": "192.168.1.7", "port": 52106}],
            }
        }
    },
    "runners": {"r1": {"RunnerReady": {}}, "r2": {"RunnerRunning": {}}},
    "downloads": {"n1": []},
    "tasks": {},
    "nodeProfiles": {"n1": OLD_PROFILE, "n2": OLD_PROFILE},
    "lastSeen": {"n1": "2025-12-18T10:00:01.5Z", "n2": "2025-12-18T10:00:01Z"},
    "topology": {
        "nodes": [
            {"nodeId": "n1", "nodeProfile": OLD_PROFILE},
            {"nodeId": "n2", "nodeProfile": OLD_PROFILE},
        ],
        "connections": [
            {
                "localNodeId": "n1",
                "sendBackNodeId": "n2",
                "sendBackMultiaddr": {
                    "address": "/ip4/192.168.1.8/tcp/52415",
                    "address_type": "ip4",
                    "ip_address": "192.168.1.8",
                    "port": 52415,
                },
                "connectionProfile": None,
            }
        ],
    },
    "lastEventAppliedIdx": 640,
}
RECORDED = {
    path.relative_to(RECORDINGS).as_posix().removesuffix(".trimmed.json"): path.read_bytes()
    for path in sorted(RECORDINGS.glob("gen-[bc]/**/*state*.trimmed.json"))
}
FULL = {name: body for name, body in RECORDED.items() if b'"runners"' in body}
STATES = {**FULL, "1.0.60": json.dumps(OLD).encode()}

LADDER: dict[str, tuple[int, int, dict[str, tuple[bool, str, int]], str, int, int]] = {
    # name: nodes listed, index, models (ready, why, hosts), rung, machines known, ghosts
    "gen-b/lan3-hostkill/state-after": (2, 1170, {}, "clustered", 2, 1),
    "gen-b/solo/get-state-idle": (1, 131, {}, "clustered", 1, 0),
    "gen-b/solo/get-state-ready": (1, 174, {TINY: (True, "", 1)}, "ready", 1, 0),
    "gen-b/solo/noworker-state": (0, 120, {}, "clustered", 0, 0),
    "gen-b/solo/state-just-after-start": (1, 4, {}, "clustered", 1, 0),
    "gen-c/lan3/state-after-2node-kill": (3, 3202, {TINY: (False, "idle", 2)}, "placed", 3, 0),
    "gen-c/lan3/state-after-host-gone": (2, 671, {}, "clustered", 2, 0),
    "gen-c/lan3/state-n1": (3, 432, {}, "clustered", 3, 0),
    "gen-c/lan3/state-n2": (3, 432, {}, "clustered", 3, 0),
    "gen-c/lan3/state-n3": (3, 433, {}, "clustered", 3, 0),
    "gen-c/solo/get-state-idle": (1, 136, {}, "clustered", 1, 0),
    "gen-c/solo/get-state-ready": (1, 200, {TINY: (True, "", 1)}, "ready", 1, 0),
    "gen-c/solo/noworker-state": (0, 123, {}, "clustered", 0, 0),
    "gen-c/solo/state-just-after-start": (1, 6, {}, "clustered", 1, 0),
    "1.0.60": (
        2,
        640,
        {"mlx-community/Llama-3.2-1B-Instruct-4bit": (True, "", 2)},
        "ready",
        2,
        0,
    ),
}


def tell(story: Story, placement: Placement, body: bytes) -> None:
    """Let the one node of a story tell a state, as the reader of placements does."""
    machines = read_full_machines(placement.nodes, body)
    story.tell(
        PlacementRead(
            node=N,
            listed=placement.nodes,
            models=placement.models,
            index=placement.index,
            runners=placement.runners,
            orphans=placement.orphans,
        )
    )
    story.tell(CapacityRead(node=N, capacities=machines.capacities, ghosts=machines.ghosts))


def test_every_recorded_state_is_in_the_table() -> None:
    assert LADDER.keys() == STATES.keys()


@pytest.mark.parametrize("name", LADDER)
def test_a_recorded_state_leads_to_its_rung(name: str) -> None:
    nodes, index, models, rung, known, ghosts = LADDER[name]
    placement = read_full_state(STATES[name])
    assert (len(placement.nodes), placement.index) == (nodes, index)
    found = {
        each.model: (each.ready, each.why, len(each.instances[0].hosts))
        for each in placement.models
    }
    assert found == models
    machines = read_full_machines(placement.nodes, STATES[name])
    assert (len(machines.capacities), machines.ghosts) == (known, ghosts)
    story = Story(LOCAL)
    story.up(N)
    tell(story, placement, STATES[name])
    assert story.machine.tables.registry.nodes[N].rung == rung


def parts(body: bytes) -> tuple[bytes, ...]:
    state = cast("dict[str, object]", json.loads(body))
    paths = ("instances", "runners", "topology", "lastEventAppliedIdx", "lastSeen", "downloads")
    return tuple(json.dumps(state[path]).encode() for path in paths)


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_the_same_by_its_paths(name: str) -> None:
    whole = read_full_state(STATES[name])
    instances, runners, topology, index, seen, downloads = parts(STATES[name])
    apart = read_state(instances, runners, topology, index, seen)
    assert with_downloads(apart, downloads) == whole
    assert with_downloads(apart, b"null") == apart


ODD = (
    "null", "true", "0", "-1", "5", str(2**70), "-1.5", "1e308", '""', '"x"', r'"\u0000"', "[]",
    "{}", "[5]", '{"x":5}', "[[]]", '{"RunnerReady":{}}', '{"inBytes":-5}', json.dumps(["n"] * 50),
    '"RunnerReady"', '"/ip4/1.2.3.4/tcp/5"', '"2026-11-23T05:46:23Z"',
    '"9999-12-31T23:59:59-23:59"', '"0001-01-01T00:00:00+23:59"',
)  # fmt: skip
READ = (
    "instances", "runners", "topology", "lastEventAppliedIdx", "lastSeen", "nodeMemory",
    "nodeSystem", "nodeIdentities", "nodeProfiles",
)  # fmt: skip
TAGS = st.sampled_from(["x", "", "RunnerReady", "RunnerShuttingDown", "MlxJacclInstance", "nodes"])


def places(value: object) -> Iterator[tuple[object, object]]:
    """List every container of a JSON value, with each of its keys."""
    if isinstance(value, dict):
        inner = list(cast("dict[object, object]", value).items())
    elif isinstance(value, list):
        inner = list(enumerate(cast("list[object]", value)))
    else:
        return
    for key, each in inner:
        yield value, key
        yield from places(each)


def bend(data: st.DataObject, state: object) -> None:
    """Drop, retag or replace one value of a state, at any depth."""
    found = list(places(state))
    container, key = found[data.draw(st.integers(0, len(found) - 1))] if found else ([0], 0)
    how = data.draw(st.sampled_from(["drop", "retag", "replace", "replace"]))
    odd: object = json.loads(data.draw(st.sampled_from(ODD)))
    if isinstance(container, list):
        row = cast("list[object]", container)
        at = cast("int", key)
        row[at : at + 1] = [odd] if how == "replace" else []
        return
    table = cast("dict[object, object]", container)
    value = table.pop(key)
    if how == "retag":
        table[data.draw(TAGS)] = value
    elif how == "replace":
        table[key] = odd


def garble(data: st.DataObject, body: bytes) -> bytes:
    """Cut a state short, or spoil its encoding."""
    how = data.draw(st.sampled_from(["whole", "whole", "cut", "utf-16", "byte", "tail"]))
    at = data.draw(st.integers(0, len(body)))
    match how:
        case "cut":
            return body[:at]
        case "utf-16":
            return body.decode().encode("utf-16")
        case "byte":
            return body[:at] + data.draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]
        case "tail":
            return body + data.draw(st.sampled_from([b"{}", b"\x00", b"]", b"garbage"]))
        case _:
            return body


def read_all(body: bytes) -> Placement | None:
    """Read a body in every way; only WireError may come of it."""
    began = time.process_time()
    placement = None
    with contextlib.suppress(WireError):
        placement = read_full_state(body)
    for where in ("instances", "runners", "topology", "index", "seen"):
        given = {"instances": b"{}", "runners": b"{}", "topology": b'{"nodes":[]}',
                 "index": b"5", "seen": b"null"}  # fmt: skip
        given[where] = body
        with contextlib.suppress(WireError):
            read_state(*given.values())
    nodes = [NodeId("n")]
    read_full_machines(nodes, body)
    read_machines(nodes, body, body, body)
    assert time.process_time() - began < SECONDS
    return placement


@given(data=st.data())
def test_no_bent_state_harms(data: st.DataObject) -> None:
    """No crash, no growth: one node stays one node of one cluster, whatever it tells."""
    story = Story(LOCAL)
    story.up(N)
    registry = story.machine.tables.registry
    for _ in range(3):
        name = data.draw(st.sampled_from(sorted(STATES)))
        state: dict[str, object] = json.loads(STATES[name])
        if data.draw(st.booleans()):  # most of a state is what nobody reads
            state = {key: state[key] for key in READ if key in state}
        for _ in range(data.draw(st.integers(1, 3))):
            bend(data, state)
        body = garble(data, json.dumps(state).encode())
        placement = read_all(body)
        if placement is not None:
            tell(story, placement, body)
        story.wait(10.0)
        check_index(registry)
        check_clusters(registry)
        check_judgement(registry)
    assert list(registry.nodes) == [N]
    assert len(registry.clusters) <= 1
    for cluster in registry.clusters.values():
        assert cluster.condition.pending.keys() <= cluster.models.keys()
        assert len(cluster.condition.orphans) <= MAX_ORPHANS
    assert len(registry.known) <= 3 * 3
    assert len(vars(story.machine)["_alarms"]) <= 8


@given(body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_other_bytes_harm(body: bytes) -> None:
    read_all(body)


@pytest.mark.parametrize("deep", ["[", '{"a":', '{"instances":{"i":'])
def test_depth_has_a_bound(deep: str) -> None:
    assert read_all(deep.encode() * 100_000) is None
