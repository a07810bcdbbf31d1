"""Each disease does what its name says."""

import json
import zlib
from itertools import groupby
from typing import Literal

import anyio
import pytest

from exo_supervisor.demo import HEALTHY, NAMES, Cloud, Disease, ExoNode, text
from exo_supervisor.demo.answers import FOREIGN
from exo_supervisor.demo.diseases import Name
from exo_supervisor.demo.server import DemoServer
from tests.demo.raw import chat_request, exchanged, get, heard, replayed, taken_apart

pytestmark = [pytest.mark.real_time, pytest.mark.alone]

MODEL = "local/tiny-llama"
START = ["keep-alive", "prefill_progress"]
STREAM = chat_request(model=MODEL, stream=True)
PLAIN = chat_request(model=MODEL)
PATIENCE = 0.2

# disease, what a stream of four tokens then holds (runs of one thing told once), framing ended
STREAMS: list[tuple[Disease, list[str], bool]] = [
    (HEALTHY, [*START, "content", "stop", "generation_stats", "[DONE]"], True),
    (Disease("error_event"), [*START, "error", "[DONE]"], True),
    (Disease("error_event", after=2), [*START, "content", "error", "[DONE]"], True),
    (Disease("empty_200"), [], True),
    (Disease("unfinished", after=2), [*START, "content"], True),
    (Disease("unfinished"), START, True),
    (Disease("cut"), START, False),
    (Disease("cut", after=2), [*START, "content"], False),
    (
        Disease("bad_json_event", after=1),
        [*START, "content", "not JSON", "content", "stop", "generation_stats", "[DONE]"],
        True,
    ),
    (Disease("no_done"), [*START, "content", "stop", "generation_stats"], True),
    (Disease("done_without_finish"), [*START, "content", "[DONE]"], True),
    (
        Disease("bytes_after_done"),
        [*START, "content", "stop", "generation_stats", "[DONE]", "other", "not JSON"],
        True,
    ),
    (
        Disease("prefill_then_content", seconds=0.05),
        [*START, "content", "stop", "generation_stats", "[DONE]"],
        True,
    ),
    (Disease("reset", after=2), [*START, "content"], False),
    (Disease("empty_stream"), [*START, "stop", "generation_stats", "[DONE]"], True),
    (Disease("bad_json"), [*START, "not JSON", "generation_stats", "[DONE]"], True),
    (
        Disease("no_usage"),
        [*START, "content", "stop", "generation_stats", "[DONE]"],
        True,
    ),
    (
        Disease("duplicate_headers"),
        [*START, "content", "stop", "generation_stats", "[DONE]"],
        True,
    ),
    (Disease("crlf"), [*START, "content", "stop", "generation_stats", "[DONE]"], True),
    (Disease("split_bytes"), [*START, "content", "stop", "generation_stats", "[DONE]"], True),
    (
        Disease("long_step", seconds=0.02),
        [*START, "content", "stop", "generation_stats", "[DONE]"],
        True,
    ),
    (
        Disease("pause", after=2, seconds=0.02),
        [*START, "content", "stop", "generation_stats", "[DONE]"],
        True,
    ),
]


def node() -> ExoNode:
    return ExoNode("C", (MODEL,), tokens=4, pace=0, keepalive_every=0.05)


def runs(items: list[str]) -> list[str]:
    return [item for item, _ in groupby(items)]


@pytest.mark.parametrize(("disease", "outline", "whole"), STREAMS)
async def test_a_sick_stream_goes_as_its_disease_says(
    disease: Disease, outline: list[str], *, whole: bool
) -> None:
    async with node() as exo:
        exo.disease = disease
        reply = await replayed(STREAM, exo.host, exo.port)
    assert (runs(reply.outline), reply.whole) == (outline, whole)


HANGS: list[tuple[Disease, list[str] | None]] = [
    (Disease("silent_chat"), None),
    (Disease("headers_then_silent"), []),
    (Disease("keepalives_only"), ["keep-alive"]),
    (Disease("runner_failed"), ["keep-alive"]),
    (Disease("runner_gone"), ["keep-alive"]),
    (Disease("long_step", seconds=60), ["keep-alive", "prefill_progress", "keep-alive"]),
    (Disease("pause", after=2, seconds=60), [*START, "content", "keep-alive"]),
    (Disease("stall", after=2), [*START, "content", "keep-alive"]),
    (Disease("prefill_stalls", seconds=0.02), [*START]),
    (Disease("slow", seconds=60), [*START, "keep-alive"]),
    (Disease("trickle", seconds=60), [*START, "keep-alive"]),
]


@pytest.mark.parametrize(("disease", "outline"), HANGS)
async def test_a_hanging_stream_stays_open_and_its_node_stays_well(
    disease: Disease, outline: list[str] | None
) -> None:
    """None means that not even headers come; `/node_id` answers all the while."""
    async with node() as exo:
        exo.disease = disease
        raw = await heard(STREAM, exo.host, exo.port, PATIENCE)
        assert (runs(taken_apart(raw).outline) if raw else None) == outline
        assert (await replayed(get("/node_id"), exo.host, exo.port)).status == 200
        assert exo.tokens_sent == disease.after


async def test_a_silent_node_accepts_and_never_answers() -> None:
    async with node() as exo:
        exo.disease = Disease("silent")
        assert await heard(get("/node_id"), exo.host, exo.port, PATIENCE) == b""


PLAINS = [
    (HEALTHY, 200, text(4), True),
    (Disease("error_event"), 200, "", True),
    (Disease("empty_200"), 200, "", True),
    (Disease("unfinished", after=2), 200, text(2), True),
    (Disease("done_without_finish"), 200, text(4), True),
    (Disease("instance_gone"), 404, f"No instance found for model {MODEL}", True),
    (Disease("cut"), 200, "", False),
]


@pytest.mark.parametrize(("disease", "status", "said", "whole"), PLAINS)
async def test_a_sick_answer_goes_as_its_disease_says(
    disease: Disease, status: int, said: str, *, whole: bool
) -> None:
    async with node() as exo:
        exo.disease = disease
        reply = await replayed(PLAIN, exo.host, exo.port)
    assert (reply.status, reply.whole) == (status, whole)
    assert json.dumps(said)[1:-1] in reply.body.decode()
    assert bool(reply.body) == bool(said)
    finished = b"finish_reason" in reply.body
    assert finished == (disease == HEALTHY)


@pytest.mark.parametrize("disease", [Disease("headers_then_silent"), Disease("stall")])
async def test_a_hanging_answer_has_headers_alone(disease: Disease) -> None:
    async with node() as exo:
        exo.disease = disease
        reply = taken_apart(await heard(PLAIN, exo.host, exo.port, PATIENCE))
    assert (reply.status, reply.body, reply.whole) == (200, b"", False)


@pytest.mark.parametrize("body", ["json", "text", "html"])
async def test_a_status_comes_with_its_headers_and_kind_of_body(
    body: Literal["json", "text", "html"],
) -> None:
    async with node() as exo, Cloud(models=(MODEL,)) as cloud:
        for server in (exo, cloud):
            server.disease = Disease("status", status=529, retry_after=7, body=body)
            reply = await replayed(STREAM, server.host, server.port)
            assert (reply.status, reply.headers["retry-after"]) == (529, "7")
            assert body in reply.headers["content-type"].replace("plain", "text")


async def test_single_oddities() -> None:
    """A redirect, a foreign model, a foreign content type and a huge event are as announced."""
    async with node() as exo:
        exo.disease = Disease("redirect")
        assert (await replayed(STREAM, exo.host, exo.port)).headers["location"]
        exo.disease = Disease("wrong_model")
        assert b'"model":"somebody/else"' in (await replayed(STREAM, exo.host, exo.port)).body
        exo.disease = Disease("wrong_content_type")
        reply = await replayed(STREAM, exo.host, exo.port)
        assert reply.headers["content-type"] == "text/html"
        exo.disease = Disease("huge_event", size=3 << 20)
        assert len((await replayed(STREAM, exo.host, exo.port)).body) > 3 << 20


async def test_crlf_and_single_bytes_change_framing_alone() -> None:
    async with node() as exo:
        exo.disease = Disease("crlf")
        crlf = (await replayed(STREAM, exo.host, exo.port)).body
        assert b"\r\n\r\n" in crlf
        assert b"\n\n" not in crlf
        exo.disease = Disease("split_bytes")
        raw = await exchanged(STREAM, exo.host, exo.port)
        assert raw.count(b"\r\n1\r\n") > 500


async def test_characters_are_cut_and_come_whole() -> None:
    async with node() as exo:
        exo.disease = Disease("split_characters")
        raw = await exchanged(STREAM, exo.host, exo.port)
    assert raw.count(b"\xc3\r\n") == 4
    body = taken_apart(raw).body.decode()
    assert all(word in body for word in text(4, FOREIGN).split())


async def test_heads_come_first_twice_or_never_to_an_end() -> None:
    async with node() as exo:
        exo.disease = Disease("hints")
        raw = await exchanged(STREAM, exo.host, exo.port)
        hints, _, rest = raw.rpartition(b"preload\r\n\r\n")
        assert (hints.count(b"HTTP/1.1 103 "), taken_apart(rest).whole) == (3, True)
        exo.disease = Disease("hints_flood")
        flood = await heard(STREAM, exo.host, exo.port, PATIENCE)
        assert flood.count(b"HTTP/1.1 103 ") > 100
        assert b"HTTP/1.1 200" not in flood
        exo.disease = Disease("duplicate_headers")
        assert (await exchanged(STREAM, exo.host, exo.port)).count(b"Content-Type: ") == 2
        exo.disease = Disease("two_lengths")
        assert (await exchanged(STREAM, exo.host, exo.port)).count(b"Content-Length: ") == 2
        exo.disease = Disease("gzip")
        reply = await replayed(STREAM, exo.host, exo.port)
        assert reply.headers["content-encoding"] == "gzip"
        assert zlib.decompress(reply.body, 31).endswith(b"[DONE]\n\n")


async def test_a_reset_is_one_and_a_wall_lets_nobody_through() -> None:
    exo = node()
    async with exo:
        exo.disease = Disease("reset_early")
        stream = await anyio.connect_tcp(exo.host, exo.port)
        async with stream:
            await stream.send(STREAM)
            with pytest.raises(anyio.BrokenResourceError) as broken:
                await stream.receive()
        assert isinstance(broken.value.__cause__, ConnectionResetError)
        exo.disease = Disease("unreachable")
        with anyio.move_on_after(PATIENCE) as patience:
            await anyio.connect_tcp(exo.host, exo.port)
        assert patience.cancelled_caught
        await exo.start()
        assert (await replayed(PLAIN, exo.host, exo.port)).status == 200


async def test_half_a_call_is_cut_where_its_arguments_are() -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": "none"}}]
    request = chat_request(model=MODEL, stream=True, tools=tools)
    async with node() as exo, Cloud(models=(MODEL,)) as cloud:
        for server in (exo, cloud):
            server.disease = Disease("tool_cut")
            reply = await replayed(request, server.host, server.port)
            assert not reply.whole
            assert b"weather" in reply.body
            assert b"Paris" not in reply.body


async def test_prefill_reports_progress_that_changes() -> None:
    async with node() as exo:
        exo.disease = Disease("prefill_then_content", seconds=0.05)
        body = (await replayed(STREAM, exo.host, exo.port)).body
    assert [n for n in range(1000, 6000, 1000) if b'"processed_tokens":%d,' % n in body] == [
        *range(1000, 6000, 1000)
    ]


async def test_a_loading_model_answers_once_it_is_ready() -> None:
    async with node() as exo, anyio.create_task_group() as tasks:
        exo.disease = Disease("loading")
        state = await replayed(get("/state/runners"), exo.host, exo.port)
        assert b"RunnerLoading" in state.body

        async def cure() -> None:
            await exo.until(lambda: exo.open_streams)
            exo.disease = HEALTHY

        tasks.start_soon(cure)
        reply = await replayed(STREAM, exo.host, exo.port)
        assert reply.outline[-1] == "[DONE]"


async def test_a_failed_runner_shows_in_state() -> None:
    async with node() as exo:
        exo.disease = Disease("runner_failed")
        state = await replayed(get("/state/runners"), exo.host, exo.port)
        assert b"RunnerFailed" in state.body
        assert MODEL in (await replayed(get("/state/instances"), exo.host, exo.port)).body.decode()


@pytest.mark.parametrize(
    ("name", "tag"),
    [("downloading", "DownloadOngoing"), ("download_failed", "DownloadFailed")],
)
async def test_a_model_that_is_not_on_its_disk_waits_and_its_state_says_why(
    name: Name, tag: str
) -> None:
    async with node() as exo:
        for ill, told in ((HEALTHY, "DownloadCompleted"), (Disease(name), tag)):
            exo.disease = ill
            downloads = json.loads(
                (await replayed(get("/state/downloads"), exo.host, exo.port)).body
            )
            (mine,) = downloads.values()
            (found,) = [each for each in mine if MODEL in json.dumps(each)]
            assert list(found) == [told]
        runners = await replayed(get("/state/runners"), exo.host, exo.port)
        assert b"RunnerIdle" in runners.body
        raw = await heard(STREAM, exo.host, exo.port, PATIENCE)
        assert runs(taken_apart(raw).outline) == ["keep-alive"]


async def test_an_election_forgets_streams_holds_posts_and_empties_state() -> None:
    exo = node()
    exo.pace = 0.05
    async with exo, anyio.create_task_group() as tasks:
        before: list[bytes] = []
        watched = anyio.Event()

        async def watch() -> None:
            before.append(await heard(STREAM, exo.host, exo.port, 0.4))
            watched.set()

        tasks.start_soon(watch)
        await exo.until(lambda: exo.tokens_sent)
        exo.disease = Disease("re_election", seconds=0.3)
        index = await replayed(get("/state/lastEventAppliedIdx"), exo.host, exo.port)
        instances = await replayed(get("/state/instances"), exo.host, exo.port)
        assert (index.body, instances.body) == (b"-1", b"{}")
        assert await heard(STREAM, exo.host, exo.port, 0.1) == b""
        await watched.wait()
        assert runs(taken_apart(before[0]).outline) == [*START, "content", "keep-alive"]
        assert (await replayed(STREAM, exo.host, exo.port)).status == 404
        exo.disease = HEALTHY
        assert (await replayed(STREAM, exo.host, exo.port)).outline[-1] == "[DONE]"


async def test_a_dead_node_refuses_drops_and_comes_back_as_another() -> None:
    exo = node()
    exo.pace = 60
    async with exo, anyio.create_task_group() as tasks:
        port, former = exo.port, exo.node_id
        cut: list[bytes] = []
        watched = anyio.Event()

        async def watch() -> None:
            cut.append(await exchanged(STREAM, exo.host, port))
            watched.set()

        tasks.start_soon(watch)
        await exo.until(lambda: exo.open_streams)
        exo.disease = Disease("dead")
        await watched.wait()
        assert not taken_apart(cut[0]).whole
        with pytest.raises(OSError, match="connect"):
            await exchanged(STREAM, exo.host, port)
        await exo.start()
        assert exo.port == port
        assert exo.node_id != former
        assert (await replayed(get("/node_id"), exo.host, port)).body.decode() == f'"{exo.node_id}"'
        assert exo.cancelled_streams == 0


async def test_a_disease_is_caught_over_http() -> None:
    async with node() as exo:
        body = b'{"name":"unfinished","after":2}'
        head = f"POST /demo/disease HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        request = f"{head}Connection: close\r\n\r\n".encode() + body
        assert (await replayed(request, exo.host, exo.port)).status == 200
        assert exo.disease == Disease("unfinished", after=2)
        bad = request.replace(b"unfinished", b"infected!!")
        assert (await replayed(bad, exo.host, exo.port)).status == 400


@pytest.mark.parametrize("name", NAMES)
async def test_no_disease_breaks_the_server_itself(name: Name) -> None:
    """Whatever ails them, servers of every kind answer or hold on, and can be cured."""
    disease = Disease(name, after=1, seconds=0.05, size=64)
    servers = [
        ExoNode("A", (MODEL,), tokens=3, pace=0),
        ExoNode("B", (MODEL,), tokens=3, pace=0),
        Cloud(models=(MODEL,), tokens=3, pace=0),
    ]
    async with anyio.create_task_group() as tasks:
        for server in servers:
            tasks.start_soon(_survives, server, disease)


async def _survives(server: DemoServer, disease: Disease) -> None:
    async with server:
        server.disease = disease
        for request in (STREAM, PLAIN):
            with anyio.move_on_after(PATIENCE):
                await _tried(request, server.host, server.port)
        if disease.name in {"dead", "unreachable"}:
            await server.start()
        server.disease = HEALTHY
        reply = await replayed(PLAIN, server.host, server.port)
        assert (reply.status, reply.whole) == (200, True)
        assert text(3) in reply.body.decode()


async def _tried(request: bytes, host: str, port: int) -> None:
    try:
        reply = await replayed(request, host, port)
    except OSError:
        return
    assert reply.status != 500 or b"demo" in reply.body, "it crashed"
