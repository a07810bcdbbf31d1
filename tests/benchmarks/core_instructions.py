"""Instructions of the core, per plain request: `python -m tests.benchmarks.core_instructions`.

Three asks: it arrived, its content was seen, its attempt settled. Each scene is run twice under
callgrind, once with `ROUNDS` requests more; the difference is what those took, and repeats to the
last hundred on the busiest machine. What the events themselves cost to make is in it.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable

from exo_supervisor.core.effects import StartAttempt, Timers
from exo_supervisor.core.events import (
    AttemptSettled,
    ContentSeen,
    Event,
    NodeSighted,
    PlacementRead,
    ProbeAnswered,
    ProviderListed,
    RequestArrived,
)
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import (
    Address,
    InstanceId,
    ModelId,
    NodeId,
    ProviderName,
    RequestId,
)
from exo_supervisor.core.policy import Cloud, ModelRule, Policy

WARM, ROUNDS = 100, 200
TIMERS = Timers(10.0, 8.0, 120.0, 120.0, 20.0)
_COLLECTED = re.compile(r"Collected : (\d+)")


def provider() -> Machine:
    """Build a house of one provider and no node."""
    name, model = ProviderName("p"), ModelId("m")
    cloud = Cloud(name, "http://p.example/v1", models=(model,), timers=TIMERS)
    machine = Machine(
        Policy(clouds=(cloud,), models=(ModelRule("m", cloud=((name, model),)),)), 0.0
    )
    machine.handle(ProviderListed(provider=name, models=(model,)), 0.0)
    return machine


def cluster() -> Machine:
    """Build a house of one cluster: three nodes, one instance of one model, no provider."""
    model, copy = ModelId("mm"), Instance(InstanceId("i1"), ready=True)
    machine = Machine(Policy(models=(ModelRule("m", exo=(model,)),)), 0.0)
    nodes = [Address(f"10.0.0.{number}:52415") for number in range(3)]
    ids = tuple(NodeId(f"{number:032x}") for number in range(3))
    heard: list[Event] = []
    for node, node_id in zip(nodes, ids, strict=True):
        heard += [
            NodeSighted(node=node, url=f"http://{node}", source="static", seeded=True),
            ProbeAnswered(node=node, generation="C", node_id=node_id, latency=0.01),
        ]
    placed = (Placed(model=model, ready=True, instances=(copy,)),)
    heard += [PlacementRead(node=node, listed=ids, models=placed, index=1) for node in nodes]
    for event in heard:
        machine.handle(event, 0.0)
    return machine


SCENES: dict[str, Callable[[], Machine]] = {"provider": provider, "cluster": cluster}


def ask(machine: Machine, rounds: int) -> None:
    """Let so many requests arrive, each answered before the next."""
    now = 1.0
    for number in range(rounds):
        now += 0.0005
        request = RequestId(f"r{number}")
        arrived = RequestArrived(request=request, model="m", deadline=now + 900, draw=0.3, size=100)
        effects = machine.handle(arrived, now)
        # Of the first alone: to look costs a tenth of what is counted, and is none of it
        if not number and not any(isinstance(effect, StartAttempt) for effect in effects):
            raise AssertionError(f"the scene serves nobody: {effects}")
        machine.handle(ContentSeen(request=request, attempt=1, ttft=0.01), now)
        machine.handle(AttemptSettled(request=request, attempt=1, draw=0.3, committed=True), now)


def count(scene: str) -> float:
    """Return the instructions of one request in a scene."""
    few, many = (_collected(scene, rounds) for rounds in (WARM, WARM + ROUNDS))
    return (many - few) / ROUNDS


def _collected(scene: str, rounds: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [sys.executable, "-m", "tests.benchmarks.core_instructions", scene, str(rounds)]
    environ = os.environ | {"PYTHONHASHSEED": "0"}
    told = subprocess.run(command, check=True, env=environ, capture_output=True, text=True)  # noqa: S603 - our own words
    found = _COLLECTED.search(told.stderr)
    if found is None:
        raise AssertionError(f"callgrind counted nothing: {told.stderr[-500:]}")
    return int(found[1])


def main(arguments: list[str]) -> int:
    """Print a figure per scene; with a scene and a number, be the process that is counted."""
    if arguments:
        gc.disable()
        ask(SCENES[arguments[0]](), int(arguments[1]))
        return 0
    if shutil.which("valgrind") is None:
        sys.stdout.write("skipped: valgrind is not installed (Debian: apt install valgrind)\n")
        return 0
    for scene in SCENES:
        sys.stdout.write(f"{scene:<10}{count(scene) / 1000:8.1f} kIr a request\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
