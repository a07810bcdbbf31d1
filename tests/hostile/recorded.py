"""Attacks on trust in a network of their own, with a recorder at every socket of the service.

`unshare --net --mount python -m tests.hostile.recorded ATTACK WAY` runs the whole service, as it
is shipped, under strace. Every prompt that must stay in the house holds a text that nothing else
holds, and that text may reach the named node alone; no connection may end where none is expected.
"""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM
from subprocess import DEVNULL

import anyio
import msgspec

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import (
    CLOUD_MODEL,
    EXO_MODEL,
    KEY,
    KEY_ENV,
    MODEL,
    Json,
    World,
    clients,
    environ,
    folder,
    toml,
    until,
)  # fmt: skip
from tests.hostile.trace import STRACE, read_trace

PORT = 52415
HOUSE, HOME, STRANGER, CLOUD = "10.66.0.1", "10.66.0.2", "10.66.0.9", "10.66.0.7"
TRAPPED, NEAR = "10.66.0.20", "10.66.0.21"
OUTSIDE = "203.0.113.66"
NAME = "exo.house.test"
PRIVATE, OPEN = b"what-stays-in-the-house-4f1c9a", b"what-anybody-may-read-77ab03"
PIECE = PRIVATE[:12]
"""As much of it as cannot stand anywhere by chance."""
ROW = "private-model"
LOCAL, NO_HEADERS = {"x-supervisor-privacy": "local_only"}, dict[str, str]()
EVERYBODY = 54_321
ANNOUNCEMENT = msgspec.json.encode(
    {
        "type": "discovery",
        "node_id": "x",
        "grpc_port": 1,
        "device_capabilities": {"model": "m", "chip": "c", "memory": 1},
    }
)


def build_network() -> None:
    """Give this machine of ours addresses of a house, and one of elsewhere."""
    addresses = [f"{each}/24" for each in (HOUSE, HOME, STRANGER, CLOUD, TRAPPED, NEAR)]
    orders = [f"addr add {each} dev lo" for each in (*addresses, f"{OUTSIDE}/32")]
    for order in ("link set lo up", *orders):
        subprocess.run(["ip", *order.split()], check=True)  # noqa: S603, S607 - words of this file


class House:
    """The named node, the cloud and the stranger, and what the attacks do with them.

    `way` is what makes a prompt private: `rows` (a model's row, or the request's header), or the
    whole `house`. `home` is slower than everybody else.
    """

    def __init__(self, place: Path, way: str) -> None:
        self.place, self.way = place, way
        self.home = ExoNode("C", host=HOME, port=PORT, pace=0.005)
        self.stranger = ExoNode("C", host=STRANGER, port=PORT, pace=0.0)
        self.cloud = Cloud(KEY, (CLOUD_MODEL,), host=CLOUD, pace=0.0)
        self.told_by = {f"{HOME}:{PORT}"}
        self.expected = {f"{HOME}:{PORT}", f"{STRANGER}:{PORT}"}

    @asynccontextmanager
    async def service(self, *seeds: str, **discovery: object) -> AsyncGenerator[World]:
        """Run the service; once it has ended, everything that it wrote is looked at."""
        async with self.cloud:
            if self.way != "house":  # nor is a provider asked for its list
                self.expected.add(f"{CLOUD}:{self.cloud.port}")
            rule = {"exo": [EXO_MODEL], "cloud": [f"house-cloud/{CLOUD_MODEL}"]}
            rows = [{"name": MODEL, **rule}, {"name": ROW, "privacy": "local_only", **rule}]
            tables: Json = {"model": rows, "discovery": discovery}
            if self.way == "house":
                tables["routing"] = {"privacy": "local_only"}
            try:
                async with self._traced(toml(seeds, self.cloud, tables)) as world:
                    yield world
            finally:  # whatever the attack itself came to
                self._judge()

    @asynccontextmanager
    async def _traced(self, text: str) -> AsyncGenerator[World]:
        file, log, path = self.place / "supervisor.toml", self.place / "log", str(self.place / "s")
        file.write_text(text)
        run = [sys.executable, "-m", "exo_supervisor", "run", "--config", str(file)]
        words = [*STRACE, "-o", str(self.place / "trace"), *run, "--socket", path]
        env = environ(**{KEY_ENV: KEY, "STATE_DIRECTORY": str(self.place / "state")})
        with log.open("wb") as err:
            async with await anyio.open_process(
                words, stdin=DEVNULL, stdout=DEVNULL, stderr=err, env=env
            ) as process:
                try:
                    async with clients(path, log.read_bytes) as world:
                        await world.lines("service_listening")
                        yield world
                finally:
                    terminate_child_of(process.pid)
                    with anyio.CancelScope(shield=True):
                        assert await process.wait() == 0

    def _judge(self) -> None:
        traced = read_trace(sorted(self.place.glob("trace.*")))
        assert not traced.unseen, traced.unseen
        strangers = traced.reached - self.expected
        assert not strangers, f"it connected to {strangers}"
        told = traced.peers_told(PIECE)
        assert told <= self.told_by, f"what must stay in the house went to {told}"
        assert PIECE not in (self.place / "log").read_bytes()
        if self.way == "rows":
            assert traced.peers_told(OPEN), "a recorder that sees no prompt at all proves nothing"

    async def private(self, world: World) -> set[tuple[int, str]]:
        """Send what must stay in the house, in every form; say who answered how."""
        rows: list[tuple[str, Mapping[str, str]]] = [(ROW, NO_HEADERS), (MODEL, LOCAL)]
        told = set[tuple[int, str]]()
        for model, headers in rows if self.way == "rows" else [(MODEL, NO_HEADERS)]:
            for stream in (False, True):
                messages = [{"role": "user", "content": PRIVATE.decode() * 3}]
                answer = await world.chat(headers, model=model, messages=messages, stream=stream)
                told.add((answer.status_code, answer.headers.get("x-supervisor-target", "")))
        return told

    async def open(self, world: World) -> str:
        """Send what may leave the house, where anything may; say who answered."""
        if self.way == "house":
            return ""
        messages = [{"role": "user", "content": OPEN.decode()}]
        answer = await world.chat(model=MODEL, messages=messages)
        return answer.headers.get("x-supervisor-target", "")

    async def met(self, world: World, host: str, *rungs: str, trust: str = "found") -> None:
        """Have a host say one datagram until it is on one of these rungs."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((host, 0))

            async def look() -> dict[str, str]:
                sender.sendto(ANNOUNCEMENT, (HOUSE, 5678))
                nodes: list[Json] = (await world.look("/supervisor/nodes"))["nodes"]
                return next((n for n in nodes if n["id"] == f"{host}:{PORT}"), {"rung": ""})

            row = await until(look, lambda row: row["rung"] in rungs)
            assert row["trust"] == trust


def terminate_child_of(pid: int) -> None:
    """Ask what strace runs to end; strace itself would leave it alone."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), SIGTERM)


def become(node: ExoNode, node_id: str) -> None:
    """Let a node go by an id."""
    node.node_id = node_id
    node.cluster.restore()


def shadow(of: ExoNode, node_id: str = "", host: str = HOME, port: int = PORT) -> ExoNode:
    """Have a node list somebody of whom there is nothing but its word."""
    listed = ExoNode("C", cluster=of.cluster, host=host, port=port)
    listed.node_id = node_id or listed.node_id
    of.cluster.members.append(listed)
    return listed


LAN = {"broadcast": "bind", "crawl": True, "api_ports": [PORT]}
AT_HOME = {(200, f"{HOME}:{PORT}")}
REFUSED = {(503, "")}


async def found(house: House) -> None:
    """T1: a machine on the link says one datagram, and answers faster than the named node."""
    async with house.home, house.stranger, house.service(house.home.url, **LAN) as world:
        await world.ready(1)
        await house.met(world, STRANGER, "ready")
        for _ in range(4):
            assert await house.private(world) == AT_HOME
        drawn = {await house.open(world) for _ in range(10)}
        assert house.way == "house" or f"{STRANGER}:{PORT}" in drawn
        await house.home.stop()
        await world.until("/supervisor/status", lambda body: body["nodes"]["ready"] == 1)
        assert await house.private(world) == REFUSED
        await house.open(world)


async def pinned(house: House) -> None:
    """T1: a pin of an earlier run, at whose address another machine may stand by now."""
    (house.place / "state").mkdir()
    pin = {"address": f"{STRANGER}:{PORT}", "link": "02:00:00:00:be:ef"}
    kept = msgspec.json.encode({"version": 1, "pins": [pin]})
    (house.place / "state" / "pins.json").write_bytes(kept)
    async with house.home, house.stranger, house.service(house.home.url, **LAN) as world:
        await world.until("/supervisor/nodes", lambda body: _rungs(body).get(HOME) == "ready")
        await house.met(world, STRANGER, "ready")
        for _ in range(3):
            assert await house.private(world) == AT_HOME
        await house.open(world)


async def other_user(house: House) -> None:
    """T2: another user of this machine listens where the seed of the defaults is."""
    words = [sys.executable, "-m", "tests.hostile.other_user", str(EVERYBODY), str(PORT)]
    house.told_by, house.expected = set(), set()
    async with await anyio.open_process(words, stderr=None) as exo:
        assert exo.stdout is not None
        await exo.stdout.receive()
        try:
            async with house.service(f"http://127.0.0.1:{PORT}") as world:
                await world.until("/supervisor/nodes", _is_of_another_user)
                for _ in range(3):
                    assert await house.private(world) == REFUSED
                await house.open(world)
        finally:
            exo.kill()


async def stolen_id(house: House) -> None:
    """T3: while the named node is down, a stranger goes by its id, and keeps on when it is back."""
    home, stranger = house.home, house.stranger
    async with home, stranger, house.service(home.url, **LAN) as world:
        await world.ready(1)
        node_id = home.node_id
        await home.stop()
        await world.ready(0)
        become(stranger, node_id)
        await house.met(world, STRANGER, "placed", "ready")
        assert await house.private(world) == REFUSED
        await home.start()
        become(home, node_id)
        await world.until("/supervisor/nodes", lambda body: _rungs(body).get(HOME) == "ready")
        for _ in range(3):
            assert await house.private(world) == AT_HOME
        await house.open(world)


async def claimed_kin(house: House) -> None:
    """T4: a stranger lists the named node: first with no instance, then with one of its own."""
    home, stranger = house.home, house.stranger
    stranger.cluster.models = ()
    async with home, stranger, house.service(home.url, **LAN) as world:
        await world.ready(1)
        shadow(stranger, home.node_id)
        await house.met(world, STRANGER, "clustered")
        for _ in range(3):
            assert await house.private(world) == AT_HOME
        stranger.cluster.place(EXO_MODEL, hosts=1)
        await house.met(world, STRANGER, "ready")
        for _ in range(3):
            assert await house.private(world) == AT_HOME
        await house.open(world)


async def name_leads_out(house: House) -> None:
    """T5: the name of a seed comes to mean an address elsewhere, where its very id answers."""
    hosts = house.place / "hosts"
    hosts.write_text(f"{HOME} {NAME}\n")
    bind = ["mount", "--bind", str(hosts), "/etc/hosts"]
    subprocess.run(bind, check=True)  # noqa: ASYNC221, S603 - ours, and nothing runs beside it
    home, outside = house.home, ExoNode("C", host=OUTSIDE, port=PORT, pace=0.0)
    seeds = [f"http://{NAME}:{PORT}", f"http://{OUTSIDE}:{PORT}"]
    async with home, outside, house.service(*seeds) as world:
        await world.ready(1)
        assert await house.private(world) == {(200, f"{NAME}:{PORT}")}
        await house.open(world)
        become(outside, home.node_id)
        hosts.write_text(f"{OUTSIDE} {NAME}\n")
        await home.stop()
        await world.until("/supervisor/nodes", _all_lead_out)
        for _ in range(3):
            assert await house.private(world) == REFUSED
        await house.open(world)
        assert not outside.requests


async def named_ports(house: House) -> None:
    """T6: a stranger's state names ports of a third machine at which anything may listen."""
    ports = (22, 6379, 9100)
    traps = [socket.create_server((TRAPPED, port)) for port in ports]
    for port in ports:
        shadow(house.stranger, host=TRAPPED, port=port)
    shadow(house.stranger, host=NEAR)
    house.told_by = set()
    house.expected |= {f"{TRAPPED}:{PORT}", f"{NEAR}:{PORT}"}
    near = ExoNode("C", host=NEAR, port=PORT, pace=0.0)
    async with house.stranger, near, house.service(**LAN) as world:
        await house.met(world, STRANGER, "ready")
        await near.until(lambda: near.requests["/node_id"])
        assert await house.private(world) == REFUSED
        await house.open(world)
    for trap in traps:
        trap.setblocking(False)  # noqa: FBT003 -- the library's own form
        try:
            trap.accept()
        except BlockingIOError:
            trap.close()
        else:
            raise AssertionError("a port of which a stranger spoke was connected to")


def _rungs(body: Json) -> dict[str, str]:
    return {row["id"].partition(":")[0]: row["rung"] for row in body["nodes"]}


def _is_of_another_user(body: Json) -> bool:
    return all("another user" in (row["why"] or "") for row in body["nodes"])


def _all_lead_out(body: Json) -> bool:
    return all("out of this network" in (row["why"] or "") for row in body["nodes"])


ATTACKS: dict[str, Callable[[House], Awaitable[None]]] = {
    "T1": found,
    "T1-pinned": pinned,
    "T2": other_user,
    "T3": stolen_id,
    "T4": claimed_kin,
    "T5": name_leads_out,
    "T6": named_ports,
}


async def main(attack: str, way: str) -> None:
    build_network()
    with folder() as place:
        await ATTACKS[attack](House(place, way))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
