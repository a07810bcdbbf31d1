"""A demo node beyond the recordings: counters, cancelling, tools, clusters, restarts, a process."""

import json
import re
import signal
import sys
from itertools import islice
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.demo import HEALTHY, Disease, ExoCluster, ExoNode, Generation, text
from exo_supervisor.demo.answers import Chat, limited, told, wish
from exo_supervisor.demo.chunks_bc import answer
from exo_supervisor.demo.course import Abort, Idle, Mute, Raw, Write, course
from exo_supervisor.demo.diseases import NAMES, Name
from tests.demo.raw import Reply, chat_request, exchanged, get, replayed, taken_apart

MODEL = "local/tiny-llama"
STREAM = chat_request(model=MODEL, stream=True)
TOOLS: list[dict[str, Any]] = [{"type": "function", "function": {"name": "weather"}}]

real_time = pytest.mark.real_time


async def asked(exo: ExoNode, request: bytes) -> Reply:
    return await replayed(request, exo.host, exo.port)


async def state(exo: ExoNode, path: str) -> Any:  # noqa: ANN401 - any JSON
    return json.loads((await asked(exo, get(f"/state/{path}"))).body)


@real_time
@pytest.mark.parametrize("generation", ["A", "B", "C"])
async def test_counters_tell_what_a_client_asked_and_got(generation: Generation) -> None:
    async with ExoNode(generation, (MODEL,), tokens=5, pace=0) as exo:
        await asked(exo, STREAM)
        assert exo.requests["/v1/chat/completions"] == 1
        assert exo.tokens_sent == (6 if generation == "A" else 5)
        assert exo.open_streams == exo.cancelled_streams == 0
        assert exo.last_request is not None
        assert exo.last_request["stream"] is True
        assert exo.last_headers["Content-Type"] == "application/json"


@real_time
@pytest.mark.parametrize("generation", ["A", "B", "C"])
async def test_a_client_that_leaves_is_noticed(generation: Generation) -> None:
    """On B and C its prompt stays in the state, as Exo leaks it, until a new session."""
    async with ExoNode(generation, (MODEL,), pace=0.01, tokens=10_000) as exo:
        async with await anyio.connect_tcp(exo.host, exo.port) as socket:
            await socket.send(STREAM)
            await exo.until(lambda: exo.tokens_sent > 2)
        with anyio.fail_after(60):
            await exo.until(lambda: exo.cancelled_streams == 1)
        assert exo.open_streams == 0
        if generation != "A":
            (task,) = (await state(exo, "tasks")).values()
            left = {"B": "Cancelled", "C": "Complete"}
            assert task["TextGeneration"]["taskStatus"] == left[generation]
            assert task["TextGeneration"]["taskParams"]["input"][0]["content"] == "Hello"


@real_time
async def test_a_running_request_shows_in_state_and_can_be_cancelled() -> None:
    """The stream then ends in its framing, without a finish reason; a second cancel is a 404."""
    async with ExoNode("C", (MODEL,), pace=0.01, tokens=10_000) as exo:
        replies: list[Reply] = []
        cancel = "POST /v1/cancel/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                replies.append(await asked(exo, STREAM))

            tasks.start_soon(watch)
            await exo.until(lambda: exo.tokens_sent > 2)
            assert [list(one) for one in (await state(exo, "runners")).values()] == [
                ["RunnerRunning"]
            ]
            (command,) = exo.streams
            cancel = cancel.format(command)
            assert (await asked(exo, cancel.encode())).status == 200
        assert (await asked(exo, cancel.encode())).status == 404
        assert exo.cancel_calls == 2
        assert replies[0].whole
        assert replies[0].outline[-1] == "content"


@real_time
@pytest.mark.parametrize("by_name", [True, False])
async def test_a_runner_works_on_for_a_request_that_was_cancelled_by_name(*, by_name: bool) -> None:
    """Exo loses that race every second time; a closed connection always stops the work."""
    async with ExoNode("B", (MODEL,), pace=0.01, tokens=10_000) as exo:
        async with await anyio.connect_tcp(exo.host, exo.port) as client:
            await client.send(chat_request(model=MODEL, stream=True, max_tokens=10_000))
            await exo.until(lambda: exo.tokens_sent > 2)
            if by_name:
                (command,) = exo.streams
                cancel = f"POST /v1/cancel/{command} HTTP/1.1\r\nHost: x\r\n"
                cancel += "Connection: close\r\n\r\n"
                assert (await asked(exo, cancel.encode())).status == 200
        await exo.until(lambda: exo.open_streams == 0)
        (runner,) = (await state(exo, "runners")).values()
        assert list(runner) == ["RunnerRunning" if by_name else "RunnerReady"]


@real_time
async def test_a_placed_model_loads_and_a_deleted_one_is_gone() -> None:
    cluster = ExoCluster("C", (), load_seconds=0.2)
    model = "mlx-community/Qwen3-0.6B-4bit"
    async with ExoNode(cluster=cluster, pace=0, tokens=3) as exo:
        body = json.dumps({"model_id": model}).encode()
        head = "POST /place_instance HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        assert (await asked(exo, head.encode() + kind.encode() + body)).status == 200
        (status,) = (await state(exo, "runners")).values()
        assert "RunnerLoading" in status
        assert (await asked(exo, chat_request(model=model, stream=True))).outline[-1] == "[DONE]"
        (status,) = (await state(exo, "runners")).values()
        assert "RunnerReady" in status
        (instance,) = await state(exo, "instances")
        gone = f"DELETE /instance/{instance} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await asked(exo, gone.encode())).status == 200
        assert (await asked(exo, chat_request(model=model))).status == 404


@real_time
async def test_empty_messages_crash_the_runner_and_it_comes_back() -> None:
    cluster = ExoCluster("C", (MODEL,), crash_seconds=0.2)
    async with ExoNode(cluster=cluster, pace=0, tokens=3) as exo:
        reply = await asked(exo, chat_request(model=MODEL, stream=True, messages=[]))
        assert reply.outline[-2:] == ["error", "[DONE]"]
        (status,) = (await state(exo, "runners")).values()
        assert "RunnerFailed" in status
        assert (await asked(exo, STREAM)).outline[-1] == "[DONE]"


@real_time
@pytest.mark.parametrize("generation", ["B", "C"])
async def test_tools_are_called_in_one_chunk_until_a_result_is_sent(generation: Generation) -> None:
    async with ExoNode(generation, (MODEL,), pace=0) as exo:
        reply = await asked(exo, chat_request(model=MODEL, stream=True, tools=TOOLS))
        assert reply.outline.count("tool_calls") == 1
        assert b'"arguments":"{\\"city\\": \\"Paris\\"}"' in reply.body
        answered = [{"role": "user", "content": "?"}, {"role": "tool", "content": "sun"}]
        request = chat_request(model=MODEL, stream=True, tools=TOOLS, messages=answered)
        assert "stop" in (await asked(exo, request)).outline


@real_time
async def test_thinking_comes_as_reasoning_content() -> None:
    async with ExoNode("C", (MODEL,), pace=0, tokens=5) as exo:
        reply = await asked(exo, chat_request(model=MODEL, enable_thinking=True))
    message = json.loads(reply.body)["choices"][0]["message"]
    assert message["reasoning_content"] + message["content"] == text(5)


@real_time
@pytest.mark.parametrize(("generation", "closes"), [("A", False), ("B", True), ("C", True)])
async def test_b_and_c_close_the_connection_after_a_stream_unasked(
    generation: Generation, *, closes: bool
) -> None:
    async with ExoNode(generation, (MODEL,), pace=0, tokens=1) as exo:
        request = STREAM.replace(b"Connection: close\r\n", b"")
        reply = taken_apart(await opening(exo, request))
        assert (reply.headers.get("connection") == "close") == closes


async def opening(exo: ExoNode, request: bytes) -> bytes:
    """Return the first bytes of an answer."""
    async with await anyio.connect_tcp(exo.host, exo.port) as socket:
        await socket.send(request)
        return await socket.receive()


@real_time
async def test_keepalives_come_while_nothing_else_does() -> None:
    async with ExoNode("C", (MODEL,), pace=0.1, tokens=1, keepalive_every=0.02) as exo:
        reply = await asked(exo, STREAM)
    assert reply.outline.count("keep-alive") >= 3


@real_time
async def test_members_share_one_state_and_the_shared_diseases() -> None:
    cluster = ExoCluster("C", (MODEL,), silence=0.0)
    first, second = (ExoNode(cluster=cluster, pace=0) for _ in range(2))
    async with first, second:
        assert (await state(first, "instances")) == (await state(second, "instances"))
        assert (await state(first, "topology/nodes")) == [first.node_id, second.node_id]
        first.disease = Disease("runner_failed")
        (status,) = (await state(second, "runners")).values()
        assert "RunnerFailed" in status
        first.disease = HEALTHY
        await first.stop()
        assert (await state(second, "topology/nodes")) == [second.node_id]
        assert (await state(second, "instances")) == {}, "it went with its host"
        cluster.place(MODEL, ready_at=0.0)
        assert (await asked(second, STREAM)).outline[-1] == "[DONE]"
        former = first.node_id
        await first.start()
        assert former in await state(second, "nodeIdentities")
        assert former not in await state(second, "topology/nodes")


@real_time
async def test_the_index_grows_with_time() -> None:
    async with ExoNode("B", (MODEL,)) as exo:
        before = await state(exo, "lastEventAppliedIdx")
        await asked(exo, STREAM)
        assert await state(exo, "lastEventAppliedIdx") > before


@real_time
@pytest.mark.parametrize(
    ("generation", "form"), [("B", r"12D3KooW[1-9A-Za-z]{44}"), ("C", "[0-9a-f]{1,32}")]
)
async def test_node_ids_have_the_form_of_their_generation(
    generation: Generation, form: str
) -> None:
    async with ExoNode(generation) as exo:
        assert (await asked(exo, get("/node_id"))).body.decode().strip('"') == exo.node_id
        assert re.fullmatch(form, exo.node_id)


@real_time
@pytest.mark.parametrize(
    "how",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.alone),
        pytest.param("quit", marks=pytest.mark.alone),
    ],
)
async def test_a_process_says_its_url_and_dies_when_told(how: signal.Signals | str) -> None:
    command = [sys.executable, "-m", "exo_supervisor.demo", "--generation", "A"]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, stdout=PIPE, stderr=None) as process:
            assert process.stdout
            url = (await process.stdout.receive()).decode().strip()
            port = int(url.removeprefix("http://127.0.0.1:"))
            reply = await replayed(get("/healthcheck"), "127.0.0.1", port)
            assert reply.body == b'{"status": "ok"}'
            assert (await replayed(chat_request(), "127.0.0.1", port)).status == 200
            if isinstance(how, signal.Signals):
                process.send_signal(how)
            else:
                await exchanged(b"POST /quit HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.1", port)
            assert await process.wait() == 0


@given(st.integers(0, 60), st.one_of(st.none(), st.integers(-3, 70)), st.text("erv ", max_size=3))
def test_limits_keep_a_beginning_of_the_text(count: int, most: int | None, stop: str) -> None:
    """What is left is a prefix that neither holds the stop text nor exceeds the limit."""
    tokens, finish = limited(told(count), most, [stop])
    left = "".join(tokens)
    assert text(count).startswith(left)
    assert not stop or stop not in left
    assert most is None or len(tokens) <= max(most, 1)
    assert finish in {"stop", "length"}


@given(
    name=st.sampled_from(NAMES),
    after=st.integers(0, 9),
    count=st.integers(1, 8),
    stream=st.booleans(),
)
def test_no_course_sends_more_tokens_than_the_answer_has(
    name: Name,
    after: int,
    count: int,
    *,
    stream: bool,
) -> None:
    wanted = wish(Chat(stream=stream), id_="x", model=MODEL, count=count)
    sent = 0
    steps = course(answer(wanted, nulls=False), Disease(name, after=after), 0)
    for step in islice(steps, 1000):  # a prefill that stalls goes on for ever
        sent += step.tokens if isinstance(step, Write) else 0
        if isinstance(step, Abort | Idle | Mute | Raw):
            break
    assert sent <= count


@real_time
@pytest.mark.parametrize(("generation", "whole"), [("A", False), ("C", True)])
async def test_a_terminated_node_ends_its_streams_as_its_generation_does(
    generation: Generation, *, whole: bool
) -> None:
    replies: list[Reply] = []
    async with (
        ExoNode(generation, (MODEL,), pace=0.01, tokens=10_000) as exo,
        anyio.create_task_group() as tasks,
    ):

        async def watch() -> None:
            replies.append(await asked(exo, STREAM))

        tasks.start_soon(watch)
        await exo.until(lambda: exo.tokens_sent > 2)
        await exo.terminate()
    assert replies[0].whole == whole
    assert replies[0].outline[-1] == "content"
