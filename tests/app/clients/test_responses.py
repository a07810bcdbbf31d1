"""OpenAI's own SDK over the socket, by its Responses API: what its users see, whoever serves."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from backports import zstd

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.clients.cells import behind
from tests.app.clients.conftest import House
from tests.app.world import CLOUD_MODEL, HELLO, KEY, MODEL, World, in_process, post

pytestmark = pytest.mark.real_time

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PIXEL = "data:image/png;base64,aGk="


@asynccontextmanager
async def library(world: World) -> AsyncGenerator[Any]:
    """Open its part for responses."""
    yield world.sdk.responses


LIBRARY = library


def asking(**more: Any) -> Any:  # noqa: ANN401 - arguments of the SDK
    return {"model": MODEL, "input": HELLO, **more}


async def streamed(client: Any, **more: Any) -> tuple[Any, list[Any]]:  # noqa: ANN401
    async with client.stream(**asking(**more)) as stream:
        events = [event async for event in stream]
        return await stream.get_final_response(), events


async def test_the_sdk_reads_a_whole_response_and_a_stream(house: House) -> None:
    client = house.sdk
    whole = await client.create(**asking())
    told, events = await streamed(client)
    for response in (whole, told):
        assert response.output_text == text(12)
        assert [item.type for item in response.output] == ["message"]
        assert (response.status, response.store) == ("completed", False)
        assert response.model == house.model
        assert response.usage is not None
        assert response.usage.output_tokens == 12
        assert response.usage.output_tokens_details.reasoning_tokens == 0
        assert response.id.startswith("resp_")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    limited = await client.create(**asking(max_output_tokens=2))
    assert limited.status == "incomplete"
    assert limited.incomplete_details.reason == "max_output_tokens"


async def test_tools_pass_both_ways_with_their_arguments_streamed(house: House) -> None:
    """Rows 5, 15 and 20: a call alone, its arguments as they come, and an image in its output."""
    target, client = house.target, house.sdk
    whole = await client.create(**asking(tools=[TOOL]))
    told, events = await streamed(client, tools=[TOOL])
    for response in (whole, told):
        (call,) = response.output
        assert (call.type, call.name) == ("function_call", "weather")
        assert call.arguments.replace(" ", "") == '{"city":"Paris"}'
    kind = "response.function_call_arguments.delta"
    pieces = [event.delta for event in events if event.type == kind]
    assert "".join(pieces).replace(" ", "") == '{"city":"Paris"}'
    assert len(pieces) > 1 or not isinstance(target, Cloud)
    call = told.output[0]
    output = [
        {"type": "input_text", "text": "18 degrees"},
        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
    ]
    talk = [
        *HELLO,
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": output},
    ]
    answered = await client.create(**asking(input=talk, tools=[TOOL]))
    assert answered.output_text == text(12)
    assert target.last_request is not None
    asked = str(target.last_request["messages"])
    assert "18 degrees" in asked
    assert "aGk=" in asked


async def test_each_error_is_of_the_class_that_sdk_users_catch(house: House) -> None:
    target, client = house.target, house.sdk
    with pytest.raises(openai.NotFoundError) as missing:
        await client.create(**asking(model="house-modle"))
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="nothing is stored here") as stored:
        await client.create(**asking(store=True))
    assert (stored.value.code, stored.value.param) == ("unsupported_field", "store")
    target.disease = Disease("status", status=500)
    with pytest.raises(openai.InternalServerError):
        await client.create(**asking(stream=True))


@pytest.mark.parametrize("disease", ["cut", "unfinished", "error_event", "bad_json_event"])
async def test_a_stream_that_breaks_never_ends_in_completed(
    house: House,
    disease: Any,  # noqa: ANN401 - a literal
) -> None:
    """Rows 14 and 24: it ends in `response.failed`, and the connection is cut."""
    target, client = house.target, house.sdk
    target.disease, target.pace = Disease(disease, after=3), 0.01
    told: list[Any] = []
    stream = await client.create(**asking(stream=True))

    async def hear() -> None:
        async for event in stream:
            told.append(event)  # noqa: PERF401 - what came before the cut is looked at

    with pytest.raises(openai.APIConnectionError):
        await hear()
    heard = "".join(e.delta for e in told if e.type == "response.output_text.delta")
    assert heard == text(3)
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert told[-1].type == "response.failed"
    assert told[-1].response.error.code == "attempts_failed"
    assert "response.completed" not in {event.type for event in told}


async def test_a_client_that_waits_sees_numbered_events_and_a_failover_counts_on() -> None:
    """Row 15: one numbering for those who wait, and for whoever answers in the end."""
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    timeouts = {"first_content": 1.0, "first_content_max": 1.0}
    async with (
        node,
        cloud,
        in_process(node, cloud=cloud, server={"head": 0.1}, timeouts=timeouts) as world,
    ):
        await world.ready()
        node.disease = Disease("headers_then_silent")
        told, events = await streamed(world.sdk.responses)
        assert told.output_text == text(12)
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type for event in events]
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds.count("response.created") == 1
        (line,) = await world.lines("request_done")
        assert line["attempts"] == 2


async def test_a_body_in_zstd_is_read_as_codex_sends_it() -> None:
    """Row 21."""
    async with behind("Exo C") as (world, _):
        body = zstd.compress(json.dumps(asking()).encode())
        headers = ("Content-Type: application/json", "Content-Encoding: zstd")
        reply = await world.raw(post(body, *headers, path="/v1/responses"))
        assert reply.status == 200
        assert json.loads(reply.body)["output"][0]["content"][0]["text"] == text(12)
