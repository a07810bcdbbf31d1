"""What befalls the targets of a house under soak: mixed faults that keep changing."""

from random import Random

import anyio

from exo_supervisor.demo import HEALTHY, Disease, ExoNode
from exo_supervisor.demo.server import DemoServer
from tests.soak.house import House

SPELL = 0.7
"""Seconds between two changes, on average."""
DISEASES = (
    Disease("error_event"), Disease("error_event", after=3), Disease("empty_200"),
    Disease("unfinished"), Disease("unfinished", after=4), Disease("cut"), Disease("cut", after=5),
    Disease("stall", after=2), Disease("silent_chat"), Disease("headers_then_silent"),
    Disease("keepalives_only"), Disease("status", status=500), Disease("status", status=502),
    Disease("status", status=503, retry_after=1), Disease("status", status=429),
    Disease("wrong_content_type"), Disease("bad_json_event", after=3), Disease("no_done"),
    Disease("done_without_finish"), Disease("bytes_after_done"), Disease("timeout_408", after=2),
    Disease("redirect"), Disease("slow", seconds=1.0), Disease("trickle", seconds=0.2),
    Disease("instance_gone"), Disease("re_election", seconds=1.0), Disease("runner_failed"),
    Disease("crlf"), Disease("split_bytes"), Disease("prefill_then_content", seconds=1.0),
    Disease("dead"),
)  # fmt: skip


async def change(house: House, dice: Random) -> None:
    """Let targets fall ill and recover, for ever; about half of them are well at a time."""
    while True:
        await anyio.sleep(dice.expovariate(1 / SPELL))
        server = dice.choice(house.servers)
        if not server.alive:
            await server.start()
            server.disease = HEALTHY
        elif server.disease is not HEALTHY or dice.random() < 0.2:
            server.disease = HEALTHY
        else:
            server.disease = dice.choice([each for each in DISEASES if _can(server, each)])


def _can(server: DemoServer, disease: Disease) -> bool:
    """Say whether this target can suffer from that; generation A's nodes have no state to lose."""
    known = isinstance(server, ExoNode) and server.generation != "A"
    return known or disease.name not in ("re_election", "runner_failed", "instance_gone")


async def heal(house: House) -> None:
    """Let every target be well."""
    for server in house.servers:
        if not server.alive:
            await server.start()
        server.disease = HEALTHY
