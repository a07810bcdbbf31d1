"""What is told of machines is read where it makes sense, and is not known elsewhere."""

import json
from pathlib import Path

import pytest

from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.exo.capacity import (
    Machines,
    read_full_machines,
    read_machine_a,
    read_machines,
)

RECORDINGS = Path(__file__).parents[2] / "recordings"
N = NodeId("n")
MEMORY = {"ramTotal": {"inBytes": 64}, "ramAvailable": {"inBytes": 48}, "swapTotal": {"inBytes": 0}}
MAC = {"gpuUsage": 0.25, "temp": 51.5, "sysPower": 38.0, "pcpuUsage": 0.5, "ecpuUsage": 0.1}
KNOWN = Capacity(64, 48, 0.25, 0.5, 51.5, 38.0, "Apple M3 Ultra")


def read(memory: object = None, system: object = None, identity: object = None) -> Machines:
    parts = ({"n": part} if part is not None else {} for part in (memory, system, identity))
    a, b, c = (json.dumps(part).encode() for part in parts)
    return read_machines([N], a, b, c)


def only(memory: object = None, system: object = None, identity: object = None) -> Capacity:
    return read(memory, system, identity).capacities.get(N, Capacity())


@pytest.mark.parametrize("generation", ["gen-b", "gen-c"])
def test_recorded_machines_are_read(generation: str) -> None:
    folder = RECORDINGS / generation / "solo"
    memory = (folder / "get-state-nodeMemory.trimmed.json").read_bytes()
    identities = (folder / "get-state-nodeIdentities.trimmed.json").read_bytes()
    [node] = json.loads(memory)
    found = read_machines([NodeId(node)], memory, b"{}", identities)
    told = json.loads(memory)[node]
    total, available = (told[key]["inBytes"] for key in ("ramTotal", "ramAvailable"))
    assert found == Machines({NodeId(node): Capacity(total, available)}), "an unknown chip is none"


def test_a_recorded_state_tells_its_machines_and_its_ghosts() -> None:
    state = (RECORDINGS / "gen-b/lan3-hostkill/state-after.trimmed.json").read_bytes()
    listed = [NodeId(node) for node in json.loads(state)["topology"]["nodes"]]
    found = read_full_machines(listed, state)
    assert list(found.capacities) == listed
    assert found.ghosts == 1
    assert read_full_machines([], state) == Machines({}), "while a cluster forms all seem ghosts"


def test_a_mac_tells_its_loads() -> None:
    assert only(MEMORY, MAC, {"chipId": "Apple M3 Ultra", "osVersion": "26"}) == KNOWN


def test_the_first_versions_of_b_have_one_profile_a_node() -> None:
    profile = {"modelId": "Mac", "chipId": "Apple M3 Ultra", "memory": MEMORY, "system": MAC}
    state = json.dumps({"nodeProfiles": {"n": profile, "ghost": profile}}).encode()
    assert read_full_machines([N], state) == Machines({N: KNOWN}, ghosts=1)
    assert read_full_machines([NodeId("new")], state) == Machines({}, ghosts=2)
    assert read_full_machines([], state) == Machines({})


@pytest.mark.parametrize(
    "system",
    [
        {},
        {"gpuUsage": 0.0, "temp": 0.0, "sysPower": 0.0, "pcpuUsage": 0.0},
        {"temp": "hot"},
        5,
    ],
)
def test_zeros_in_all_gauges_are_no_gauges(system: object) -> None:
    assert only(MEMORY, system) == Capacity(64, 48)


def test_each_gauge_is_judged_alone() -> None:
    assert only(None, MAC | {"gpuUsage": 25.0, "pcpuUsage": -1}) == Capacity(
        temperature=51.5, power=38.0
    )
    assert only(None, {"sysPower": 38.0}) == Capacity(gpu=0.0, cpu=0.0, power=38.0)
    assert only(None, {"gpuUsage": 0.5}) == Capacity(gpu=0.5, cpu=0.0)


@pytest.mark.parametrize(
    ("total", "available"), [(64, 65), (0, 0), (-1, -2), (64, -1), ("64", 48), (None, 48)]
)
def test_memory_that_cannot_be_is_not_known(total: object, available: object) -> None:
    memory = {"ramTotal": {"inBytes": total}, "ramAvailable": {"inBytes": available}}
    assert read(memory) == Machines({})


@pytest.mark.parametrize("chip", ["Unknown Chip", "", "x" * 65, "a\nb", "\x1b[2J", 5])
def test_a_chip_without_a_name_is_none(chip: object) -> None:
    assert only(MEMORY, None, {"chipId": chip}) == Capacity(64, 48)


def test_generation_a_tells_its_chip_and_its_memory() -> None:
    def machine(chip: str = "Apple M1", memory: object = 24105) -> dict[str, object]:
        return {"model": "Linux Box", "chip": chip, "memory": memory, "flops": {}}

    def told(**nodes: object) -> Capacity | None:
        return read_machine_a(json.dumps({"nodes": nodes}).encode())

    known = Capacity(memory_total=24105 * 2**20, chip="Apple M1")
    assert told(a=machine()) == known
    assert told(a=machine(), b=machine()) == known
    assert told(a=machine(), b=machine(memory=5)) is None, "which of them is it"
    assert told(a=machine("Unknown Chip (Device: CPU)")) == Capacity(memory_total=24105 * 2**20)
    assert [told(), told(a={}), told(a=machine(memory="x")), told(a=5)] == [None] * 4


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"n":', b'{"n":5}'])
def test_what_is_no_such_map_tells_nothing(body: bytes) -> None:
    assert read_machines([N], body, body, body) == Machines({})
    assert read_full_machines([N], body) == Machines({})
    assert read_machine_a(body) is None
