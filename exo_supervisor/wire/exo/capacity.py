"""What Exo tells of the machines that it runs on.

Nothing is decided by it yet, so that what is missing or odd is simply not known.
"""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.fleet.capacity import Capacity
from exo_supervisor.core.names import NodeId
from exo_supervisor.wire.bounds import bounded_part, bounded_state
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.untrusted_json import UNREADABLE

_T = TypeVar("_T")
_MIB = 2**20
_LONGEST = 64


class Machines(Struct, frozen=True):
    """What is known of the machines of a cluster's nodes.

    `ghosts` are how many nodes are named besides: Exo never drops a name (Exo 2194).
    """

    capacities: dict[NodeId, Capacity]
    ghosts: int = 0


class _Bytes(Struct, rename="camel"):
    in_bytes: int


class _Memory(Struct, rename="camel"):
    ram_total: _Bytes
    ram_available: _Bytes


class _System(Struct, rename="camel"):
    """What macOS tells; 1.0.60 fills it with zeros elsewhere."""

    gpu_usage: float = 0.0
    pcpu_usage: float = 0.0
    temp: float = 0.0
    sys_power: float = 0.0


class _Identity(Struct, rename="camel"):
    chip_id: str = ""


class _Profile(_Identity, rename="camel"):
    memory: Raw = NULL
    system: Raw = NULL


class _State(Struct, rename="camel"):
    node_memory: Raw = NULL
    node_system: Raw = NULL
    node_identities: Raw = NULL
    node_profiles: Raw = NULL


class _MachineOfA(Struct):
    chip: str = ""
    memory: int = 0


class _TopologyOfA(Struct):
    nodes: dict[str, _MachineOfA] = {}


_map = msgspec.json.Decoder(dict[str, Raw])
_state = msgspec.json.Decoder(_State)
_memory = msgspec.json.Decoder(_Memory)
_system = msgspec.json.Decoder(_System)
_identity = msgspec.json.Decoder(_Identity)
_profile = msgspec.json.Decoder(_Profile)
_topology_a = msgspec.json.Decoder(_TopologyOfA)


def read_machines(
    listed: Iterable[NodeId], memory: bytes, system: bytes, identities: bytes
) -> Machines:
    """Read `/state/nodeMemory`, `nodeSystem`, `nodeIdentities` (1.0.70), of the nodes listed."""
    memories, systems, named = _mapped(memory), _mapped(system), _mapped(identities)
    listed = tuple(listed)
    found = {
        node: _capacity(
            memories.get(node, NULL),
            systems.get(node, NULL),
            _decode(_identity, named.get(node, NULL)) or _Identity(),
        )
        for node in listed
    }
    return Machines(_known(found), len(named.keys() - set(listed)) if listed else 0)


def read_full_machines(listed: Iterable[NodeId], state: bytes) -> Machines:
    """Read `GET /state` of any B or C; 1.0.60 to 1.0.63 have one profile a node."""
    read = _read_state(state)
    profiles = _mapped(read.node_profiles)
    if not profiles:
        return read_machines(listed, read.node_memory, read.node_system, read.node_identities)
    listed = tuple(listed)
    told = {node: _decode(_profile, profiles.get(node, NULL)) or _Profile() for node in listed}
    found = {node: _capacity(one.memory, one.system, one) for node, one in told.items()}
    return Machines(_known(found), len(profiles.keys() - set(listed)) if listed else 0)


def read_machine_a(topology: bytes) -> Capacity | None:
    """Read the asked node's own machine from generation A's `/v1/topology`.

    A node does not say which of the listed it is: where they differ, its own is not known.
    """
    read = _decode(_topology_a, topology)
    alike = {_of_a(machine) for machine in (read or _TopologyOfA()).nodes.values()}
    only = alike.pop() if len(alike) == 1 else None
    return None if only == Capacity() else only


def _of_a(machine: _MachineOfA) -> Capacity:
    total = machine.memory * _MIB if machine.memory > 0 else None
    return Capacity(memory_total=total, chip=_chip(machine.chip))


def _capacity(memory: bytes, system: bytes, identity: _Identity) -> Capacity:
    space, load = _decode(_memory, memory), _decode(_system, system)
    total = space.ram_total.in_bytes if space is not None else 0
    available = space.ram_available.in_bytes if space is not None else 0
    sound = 0 <= available <= total and total > 0
    measured = load is not None and (load.temp or load.sys_power or load.gpu_usage)
    gauge = load if load is not None and measured else None
    return Capacity(
        memory_total=total if sound else None,
        memory_available=available if sound else None,
        gpu=_share(gauge.gpu_usage) if gauge else None,
        cpu=_share(gauge.pcpu_usage) if gauge else None,
        temperature=gauge.temp if gauge and gauge.temp else None,
        power=gauge.sys_power if gauge and gauge.sys_power else None,
        chip=_chip(identity.chip_id),
    )


def _share(value: float) -> float | None:
    return value if 0 <= value <= 1 else None


def _chip(name: str) -> str | None:
    """Keep a name that says something: Exo calls what it does not know `Unknown Chip`."""
    odd = not name.isprintable() or len(name) > _LONGEST or name.startswith("Unknown")
    return None if odd or not name else name


def _known(found: dict[NodeId, Capacity]) -> dict[NodeId, Capacity]:
    return {node: capacity for node, capacity in found.items() if capacity != Capacity()}


def _mapped(body: bytes) -> dict[str, Raw]:
    return _decode(_map, body) or {}


def _read_state(state: bytes) -> _State:
    try:
        return _state.decode(bounded_state(state))
    except (WireError, *UNREADABLE):
        return _State()


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes | Raw) -> _T | None:
    told = bytes(body)
    if told == b"null":  # it is usual, and an error that says so is written at length
        return None
    try:
        return decoder.decode(bounded_part(told))
    except (WireError, *UNREADABLE):
        return None
