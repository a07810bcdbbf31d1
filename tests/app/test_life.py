"""The service as a process: its socket, its signals, its end, and its nodes' sudden death."""

import grp
import json
import os
import re
import signal
import socket
import stat
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import openai
import pytest
from anyio.abc import Process

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.world import (
    CLOUD_MODEL,
    HELLO,
    KEY,
    KEY_ENV,
    MODEL,
    PATIENCE,
    Json,
    World,
    asking,
    exchanged,
    folder,
    in_process,
    left,
    post,
    process_of_service,
    run,
    started,
    toml,
    until,
)
from tests.demo.raw import taken_apart

pytestmark = pytest.mark.real_time


@asynccontextmanager
async def node_process() -> AsyncGenerator[tuple[str, Process]]:
    words = ["--generation", "C", "--pace", "0.05", "--tokens", "40"]
    async with started(*words, module="exo_supervisor.demo") as process:
        assert process.stdout is not None
        with anyio.fail_after(PATIENCE):
            url = (await process.stdout.receive()).decode().strip()
        yield url, process


class Ends:
    """What became of the clients of a test."""

    def __init__(self) -> None:
        self.begun_at: Counter[str] = Counter()
        self.whole = self.broken = self.failed = 0

    async def stream(self, world: World) -> None:
        """Read a stream with the SDK, which raises if it breaks."""
        fresh, finish = True, None
        try:
            stream = await world.sdk.chat.completions.create(
                model=MODEL, messages=HELLO, stream=True
            )
            async for chunk in stream:
                self.begun_at[stream.response.headers["x-supervisor-target"]] += fresh
                fresh = False
                finish = chunk.choices[0].finish_reason or finish
        except openai.APIError:
            self.broken += not fresh
            self.failed += fresh
        else:
            self.whole += finish == "stop"

    async def plain(self, world: World) -> None:
        try:
            answer = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO)
        except openai.APIError:
            self.failed += 1
        else:
            self.whole += answer.choices[0].finish_reason == "stop"


@pytest.mark.alone
@pytest.mark.parametrize("spare", ["node", "cloud"])
async def test_a_node_killed_under_fifty_requests_costs_only_what_had_begun(spare: str) -> None:
    """Whoever had no answer yet gets one from elsewhere, and each request has its one line."""
    cloud, other = Cloud(KEY, (CLOUD_MODEL,), pace=0.0), ExoNode("C", pace=0.01, tokens=20)
    async with cloud, other, node_process() as (url, node):
        with folder() as place:
            seeds = [url, other.url] if spare == "node" else [url]
            # In turn: whose answers are measured first must not get all the streams.
            # And a busy machine may take its time: what is killed is known by its resets.
            tables = {
                "routing": {"policy": "round_robin", "patience": 60.0},
                "health": {"timeout": 60.0},
                "timeouts": {"connect": 60.0, "headers": 60.0, "stall": 60.0},
            }
            text = toml(seeds, cloud if spare == "cloud" else None, tables)
            async with process_of_service(place, text) as (world, service):
                await world.ready(len(seeds))
                ends = Ends()
                async with anyio.create_task_group() as tasks:
                    for _ in range(25):
                        tasks.start_soon(ends.stream, world)
                    for _ in range(25):
                        tasks.start_soon(ends.plain, world)
                    await until(begun(ends), lambda at: at[url.removeprefix("http://")] >= 2)
                    node.send_signal(signal.SIGKILL)
                assert ends.failed == 0
                assert ends.broken >= 1
                assert ends.whole + ends.broken == 50
                lines = await world.lines("request_done", 50)
                assert len(lines) == len({line["request_id"] for line in lines}) == 50
                outcomes = [line["outcome"] for line in lines]
                assert outcomes.count("success") == ends.whole
                assert outcomes.count("failure") == ends.broken
                service.terminate()
                assert await left(service) == 0


def begun(ends: Ends) -> Callable[[], Awaitable[Counter[str]]]:
    async def count() -> Counter[str]:
        return ends.begun_at

    return count


async def test_with_all_down_it_says_when_to_come_back_and_is_back_by_itself() -> None:
    """At first an attempt fails (502), then nobody is left to be tried (503)."""
    async with ExoNode("C", pace=0.0) as node, in_process(node, breaker={"rest": 0.5}) as world:
        await world.ready()
        await node.stop()
        first = await world.chat()
        assert (first.status_code, code(first.content)) in (
            (502, "attempts_failed"),
            (503, "no_target"),
        )
        await world.ready(0)
        for stream in (False, True):
            down = await world.chat(stream=stream)
            assert (down.status_code, code(down.content)) == (503, "no_target")
            assert int(down.headers["retry-after"]) >= 1
        await node.start()

        async def status() -> int:
            return (await world.chat()).status_code

        await until(status, lambda found: found == 200)


def code(body: bytes) -> str:
    return json.loads(body)["error"]["code"]


async def test_a_stale_socket_is_replaced_a_live_one_refused_and_ours_removed() -> None:
    with folder() as place:
        path = place / "s"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        group = grp.getgrgid(os.getgid()).gr_name
        rules = {"server": {"socket_mode": "0640", "socket_group": group}}
        async with process_of_service(place, toml([], None, rules)) as (world, process):
            about = path.stat()
            assert stat.S_IMODE(about.st_mode) == 0o640
            assert about.st_gid == os.getgid()
            second = await run(
                "run", "--config", str(place / "supervisor.toml"), "--socket", str(path)
            )
            assert second.code == 1
            assert f"another service answers on {path}" in second.err
            assert "Traceback" not in second.err
            assert (await world.http.get("/healthz")).status_code == 200
            process.terminate()
            assert await left(process) == 0
        assert not path.exists()


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_signal_lets_streams_end_and_a_second_one_does_not(*, hurried: bool) -> None:
    async with ExoNode("C", pace=0.05, tokens=20) as node:
        with folder() as place:
            async with process_of_service(place, toml([node], None, {})) as (world, process):
                await world.ready()
                if hurried:
                    node.tokens = 10_000
                replies: list[bytes] = []

                async def ask() -> None:
                    body = json.dumps(asking(stream=True)).encode()
                    replies.append(await exchanged(world.path, post(body)))

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask)
                    await node.until(lambda: node.tokens_sent > 3)
                    process.terminate()
                    await world.lines("drain_started")
                    if hurried:
                        process.terminate()
                    assert await left(process) == 0
                reply = taken_apart(replies[0])
                assert reply.whole == (not hurried)
                assert reply.body.endswith(b"data: [DONE]\n\n") == (not hurried)
                await node.until(lambda: node.open_streams == 0)
                assert len(await world.lines("request_done")) == 1
            assert not (place / "s").exists()


async def test_more_requests_than_allowed_are_turned_away_at_once() -> None:
    async with (
        ExoNode("C", pace=0.05, tokens=10_000) as node,
        in_process(node, server={"max_requests": 2}) as world,
    ):
        await world.ready()
        body = post(json.dumps(asking(stream=True)).encode())
        async with (
            await anyio.connect_unix(world.path) as one,
            await anyio.connect_unix(world.path) as two,
        ):
            await one.send(body)
            await two.send(body)
            await node.until(lambda: node.open_streams == 2)
            full = await world.chat()
            assert (full.status_code, code(full.content)) == (503, "overloaded")
            assert int(full.headers["retry-after"]) >= 1
            assert (await world.http.get("/healthz")).status_code == 200
        await world.idle()
        node.tokens = 3
        assert (await world.chat()).status_code == 200


async def test_a_socket_passed_by_systemd_is_served_and_left_alone() -> None:
    """As sd_listen_fds(3): descriptor 3, and the variables name this very process."""
    with folder() as place:
        path, file, log = place / "passed", place / "supervisor.toml", place / "log"
        await anyio.Path(file).write_text(toml([], None, {}))
        with socket.socket(socket.AF_UNIX) as listening, log.open("wb") as err:
            listening.bind(str(path))
            listening.listen(16)
            become = (
                "import os, sys; os.dup2(int(sys.argv[1]), 3); "
                "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
                "os.execv(sys.executable, [sys.executable, '-m', 'exo_supervisor', *sys.argv[2:]])"
            )
            process = await anyio.open_process(
                [
                    sys.executable,
                    "-c",
                    become,
                    str(listening.fileno()),
                    "run",
                    "--config",
                    str(file),
                ],
                pass_fds=(listening.fileno(), 3),
                stderr=err,
            )
            async with process:
                with anyio.fail_after(PATIENCE):
                    answer = await exchanged(str(path), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200 OK")
                process.terminate()
                assert await left(process) == 0
            assert path.is_socket()


async def test_without_nodes_and_providers_it_stays_up_and_says_what_to_do() -> None:
    async with in_process(health={"timeout": 0.2}, timeouts={"connect": 0.2}) as world:
        status = await world.until("/supervisor/status", lambda body: body["advice"])
        assert status["ready"] is False
        assert (await world.http.get("/readyz")).status_code == 503
        refused = await world.chat()
        assert (refused.status_code, code(refused.content)) == (503, "no_target")
        await world.lines("request_done")
        for line in world.log().splitlines():
            body = json.loads(line)
            assert {"ts", "level", "event", "logger"} <= set(body)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", body["ts"])
            assert re.fullmatch(r"[a-z_]+", body["event"])


async def test_a_hangup_changes_nothing_and_settings_are_told_without_a_key() -> None:
    async with ExoNode("C") as node, Cloud(KEY, (CLOUD_MODEL,)) as cloud:
        with folder() as place:
            text = toml([node], cloud, {"log": {"level": "debug"}})
            async with process_of_service(place, text) as (world, service):
                await world.ready()
                service.send_signal(signal.SIGHUP)
                (line,) = await world.lines("not_reloadable_yet")
                assert line["advice"] == "restart the service instead"
                assert (await world.chat()).status_code == 200
                body = await world.look("/supervisor/config")
                assert body["file"] == str(place / "supervisor.toml")
                assert body["keys"] == {"house-cloud": f"env {KEY_ENV}"}
                assert KEY not in json.dumps(body)
                shown = await run("config", "--socket", str(place / "s"))
                assert "as the running service has it" in shown.out.splitlines()[0]
                assert f"; set (env {KEY_ENV})" in shown.out
                service.terminate()
                assert await left(service) == 0
                tells_of_its_connections(await world.lines("connections_closed", 3))


def tells_of_its_connections(lines: list[Json]) -> None:
    """At its end, it says what they were used for."""
    nodes, clouds, house = lines
    assert [each["side"] for each in lines] == ["nodes", "clouds", "house"]
    assert nodes["connected"] > 0
    assert nodes["reused"] > 0
    assert [nodes["open"], clouds["open"], house["open"], house["connected"]] == [0, 0, 0, 0]


async def test_status_waits_until_a_service_has_looked_and_socket_names_it_alone() -> None:
    async with ExoNode("C") as node:
        with folder() as place:
            words = ("--socket", str(place / "s"))
            assert (await run("status", "--wait", "0.1", *words)).code == 69
            ends: list[str] = []

            async def wait() -> None:
                ended = await run("status", "--wait", "30", *words)
                assert ended.code == 0
                ends.append(ended.out)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                async with process_of_service(place, toml([node], None, {})) as (_, service):
                    await until(lambda: count_of(ends), lambda many: many == 1)
                    assert ends[0].startswith("ready ")
                    assert f"socket {place / 's'}" in " ".join(ends[0].split())
                    assert (await run("socket", *words)).out == f"{place / 's'}\n"
                    service.terminate()
                    assert await left(service) == 0


async def count_of(ends: list[str]) -> int:
    return len(ends)
