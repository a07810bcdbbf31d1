"""Whatever a target does before its first content costs the client nothing; after it, it shows."""

import json

import anyio
import httpx
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.world import (
    CLOUD_MODEL,
    EXO_MODEL,
    HELLO,
    KEY,
    MODEL,
    World,
    asking,
    in_process,
    post,
)
from tests.demo.raw import Reply

pytestmark = pytest.mark.real_time

SHORT = {"headers": 0.4, "first_content": 0.4, "first_content_max": 0.4, "stall": 0.4}
STREAM = post(json.dumps(asking(stream=True)).encode())


def pair() -> tuple[ExoNode, Cloud]:
    return ExoNode("C", pace=0.01, keepalive_every=0.1), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)


BEFORE: list[tuple[Disease, str]] = [
    (Disease("error_event"), "attempt_failed"),
    (Disease("status", status=429, retry_after=30), "busy"),
    (Disease("instance_gone"), "attempt_failed"),
]
"""One of each kind; tests/app/matrix has them all."""


@pytest.mark.parametrize(("disease", "shift"), BEFORE, ids=lambda value: getattr(value, "name", ""))
async def test_a_fault_before_content_fails_over(disease: Disease, shift: str) -> None:
    """A stream and a whole answer both come from the cloud, whole, and the headers say why."""
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud, timeouts=SHORT) as world:
        await world.ready()
        node.disease = disease
        streamed = await world.raw(STREAM)
        assert (streamed.status, streamed.whole) == (200, True)
        assert streamed.body.endswith(b"data: [DONE]\n\n")
        whole = await world.chat()
        assert whole.json()["choices"][0]["message"]["content"] == text(12)
        for headers in (streamed.headers, whole.headers):
            assert headers["x-supervisor-target"] == "house-cloud"
        assert streamed.headers["x-supervisor-shift"] == shift


AFTER: list[tuple[Disease, str]] = [
    (Disease("cut", after=3), "payload"),
    (Disease("stall", after=3), "stall"),
]


@pytest.mark.parametrize(("disease", "fault"), AFTER, ids=lambda value: getattr(value, "name", ""))
async def test_a_death_after_content_is_an_error_event_and_a_cut(
    disease: Disease, fault: str
) -> None:
    """Neither `[DONE]` nor the terminating chunk nor a finish reason follows."""
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud, timeouts=SHORT) as world:
        await world.ready()
        node.disease = disease
        reply = await world.raw(STREAM)
        assert_cut(reply, "attempts_failed")
        assert fault in reply.body.decode()
        assert b'"finish_reason":"' not in reply.body
        assert cloud.seen == 0
        (line,) = await world.lines("request_done")
        assert (line["outcome"], line["code"], line["status"]) == (
            "failure",
            "attempts_failed",
            200,
        )
        whole = await world.chat()
        assert whole.json()["choices"][0]["message"]["content"] == text(12)
        assert whole.headers["x-supervisor-target"] == "house-cloud"


def assert_cut(reply: Reply, code: str) -> None:
    assert (reply.status, reply.whole) == (200, False)
    *_, last, end = reply.body.split(b"\n\n")
    assert end == b""
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == code
    assert b"[DONE]" not in reply.body


async def test_a_busy_node_is_waited_for_as_long_as_it_says() -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud, routing={"patience": 2.0}) as world:
        await world.ready()
        node.disease = Disease("status", status=429, retry_after=1)
        answers: list[httpx.Response] = []
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                answers.append(await world.chat())

            tasks.start_soon(ask)
            await node.until(lambda: node.requests["/v1/chat/completions"] == 1)
            node.disease = Disease()
        (answer,) = answers
        assert answer.headers["x-supervisor-target"] == node.address
        assert answer.headers["x-supervisor-attempts"] == "2"
        (line,) = await world.lines("request_done")
        assert line["duration"] >= 1.0


async def test_a_model_that_is_gone_is_believed_and_the_next_request_goes_elsewhere() -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud, health={"ready_interval": 60.0}) as world:
        await world.ready()
        node.disease = Disease("instance_gone")
        assert (await world.chat()).headers["x-supervisor-shift"] == "attempt_failed"
        assert (await world.chat()).headers["x-supervisor-shift"] == "model_not_ready"
        assert node.requests["/v1/chat/completions"] == 1
        assert (await world.look("/supervisor/breakers"))["breakers"][0]["failures"] == 0


@pytest.mark.parametrize("at", ["list", "chat"])
async def test_a_refused_key_never_shows_and_switches_the_provider_off(at: str) -> None:
    cloud = Cloud("another-key" if at == "list" else KEY, (CLOUD_MODEL,), pace=0.0)
    async with cloud, in_process(cloud=cloud) as world:
        await world.until("/readyz", lambda body: "ready" in body)
        if at == "chat":
            await world.lines("provider_reached")
            cloud.disease = Disease("status", status=401)
        else:
            await world.lines("provider_list_refused")
        answer = await world.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_target")
        assert int(answer.headers["retry-after"]) >= 1
        status = await world.look("/supervisor/status")
        assert status["providers"][0]["state"] == "bad_key"
        shown = answer.text + str(answer.headers) + json.dumps(status) + world.log().decode()
        assert KEY not in shown
        assert "another-key" not in shown


async def test_what_kills_two_targets_alike_is_the_requests_own_fault() -> None:
    """It ends with 502, counts at no breaker and goes nowhere else."""
    nodes = [ExoNode("C", pace=0.0) for _ in range(3)]
    cloud = Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with nodes[0], nodes[1], nodes[2], cloud, in_process(*nodes, cloud=cloud) as world:
        await world.ready(3)
        for node in nodes:
            node.disease = Disease("error_event")
        answer = await world.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "poison_request")
        assert sum(node.requests["/v1/chat/completions"] for node in nodes) == 2
        assert cloud.seen == 0
        rows = (await world.look("/supervisor/breakers"))["breakers"]
        assert {row["failures"] for row in rows} == {0}


async def test_a_slow_head_is_kept_alive_and_says_then_who_answers() -> None:
    node, _ = pair()
    async with node, in_process(node, server={"head": 0.2}) as world:
        await world.ready()
        node.disease = Disease("slow", seconds=0.6)
        reply = await world.raw(STREAM)
        assert (reply.status, reply.whole) == (200, True)
        assert "x-request-id" in reply.headers
        assert "x-supervisor-target" not in reply.headers
        first, told, content, *_ = reply.body.decode().split("\n\n")
        assert first == ": keep-alive"
        assert told.startswith(": supervisor {")
        assert json.loads(told.removeprefix(": supervisor ")) == {
            "target": node.address,
            "attempts": 1,
            "shift": None,
            "model": EXO_MODEL,
        }
        assert content.startswith("data: {")
        stream = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(said) == text(12)


async def test_after_a_head_failing_over_is_still_allowed() -> None:
    node, cloud = pair()
    async with (
        node,
        cloud,
        in_process(node, cloud=cloud, server={"head": 0.1}, timeouts=SHORT) as world,
    ):
        await world.ready()
        node.disease = Disease("headers_then_silent")
        reply = await world.raw(STREAM)
        assert reply.whole
        assert b'"target":"house-cloud","attempts":2,"shift":"attempt_failed"' in reply.body


@pytest.mark.parametrize("status", [400, 500])
async def test_after_a_head_the_final_failure_is_an_event_and_a_cut(status: int) -> None:
    node, _ = pair()
    async with node, in_process(node, server={"head": 0.1}, routing={"patience": 3.0}) as world:
        await world.ready()
        node.disease = Disease("status", status=429, retry_after=1)
        await busy_then(world, node, Disease("status", status=status))


async def busy_then(world: World, node: ExoNode, disease: Disease) -> None:
    """Let the wait for a busy node outlast the head, then let it fail."""
    replies: list[Reply] = []

    async def ask() -> None:
        replies.append(await world.raw(STREAM))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await node.until(lambda: node.requests["/v1/chat/completions"] == 1)
        node.disease = disease
    (reply,) = replies
    assert reply.body.startswith(b": keep-alive\n\n")
    assert_cut(reply, "upstream_rejected" if disease.status == 400 else "attempts_failed")
    await world.lines("request_done")
