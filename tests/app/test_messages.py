"""Anthropic's own SDK over the socket: what its users see, whoever serves behind."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from exo_supervisor.demo import Cloud, Disease, ExoNode, MessagesCloud, text
from tests.app.world import (
    CLOUD_MODEL,
    EXO_MODEL,
    HELLO,
    KEY,
    MODEL,
    NO_TLS,
    PATIENCE,
    World,
    in_process,
)

pytestmark = pytest.mark.real_time

TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
PIXEL: Any = {"type": "base64", "media_type": "image/png", "data": "aGk="}
Target = ExoNode | Cloud
NAMES = ["B", "C", "cloud", "messages"]
OPENAI = NAMES[:3]


CLOUDS = {"cloud": Cloud, "messages": MessagesCloud}


def target_of(name: str, pace: float = 0.0) -> Target:
    if name in CLOUDS:
        return CLOUDS[name](KEY, (CLOUD_MODEL,), pace=pace)
    return ExoNode(cast("Any", name), pace=pace)


def house(target: Target) -> AbstractAsyncContextManager[World]:
    """Run the service before one target alone."""
    if isinstance(target, ExoNode):
        return in_process(target)
    return in_process(cloud=target)


@asynccontextmanager
async def before(target: Target) -> AsyncGenerator[tuple[World, Any]]:
    """Run the service before one target alone, and the SDK on its socket.

    The SDK's own types are of httpx2, whose types are unknown here.
    """
    async with target, house(target) as world:
        await world.ready(1 if isinstance(target, ExoNode) else 0)
        transport = httpx2.AsyncHTTPTransport(uds=world.path, verify=NO_TLS)
        async with httpx2.AsyncClient(transport=transport, timeout=PATIENCE) as plain:
            yield (
                world,
                AsyncAnthropic(
                    base_url="http://house", api_key="unused", http_client=plain, max_retries=0
                ),
            )


def asking(**more: Any) -> Any:  # noqa: ANN401 - arguments of the SDK
    return {"model": MODEL, "messages": HELLO, "max_tokens": 1000, **more}


async def streamed(client: Any, **more: Any) -> tuple[Message, list[Any]]:  # noqa: ANN401
    async with client.messages.stream(**asking(**more)) as stream:
        events = [event async for event in stream]
        return await stream.get_final_message(), events


@pytest.mark.parametrize("name", NAMES)
async def test_the_sdk_reads_a_whole_message_and_a_stream(name: str) -> None:
    target = target_of(name)
    async with before(target) as (_, client):
        whole = await client.messages.create(**asking())
        told, _ = await streamed(client)
        for message in (whole, told):
            assert [block.type for block in message.content] == ["text"]
            assert cast("Any", message.content[0]).text == text(12)
            assert (message.stop_reason, message.role) == ("end_turn", "assistant")
            assert message.model == (CLOUD_MODEL if name in CLOUDS else EXO_MODEL)
            assert message.usage.output_tokens == 12
            assert message.usage.input_tokens > 0
            assert message.id.startswith("msg_")
        limited = await client.messages.create(**asking(max_tokens=2))
        assert limited.stop_reason == "max_tokens"


@pytest.mark.parametrize("name", NAMES)
async def test_tools_pass_both_ways_with_their_arguments_streamed(name: str) -> None:
    """Row 5, and 7: a call alone, its arguments as they come, ends with tool_use."""
    target = target_of(name)
    async with before(target) as (_, client):
        whole = await client.messages.create(**asking(tools=TOOLS))
        told, events = await streamed(client, tools=TOOLS)
        for message in (whole, told):
            assert message.stop_reason == "tool_use"
            (use,) = message.content
            assert use.type == "tool_use"
            assert (use.name, use.input) == ("weather", {"city": "Paris"})
        pieces = [event.partial_json for event in events if event.type == "input_json"]
        assert "".join(pieces) == '{"city": "Paris"}'
        assert len(pieces) > 1 or name not in CLOUDS
        use = cast("Any", told.content[0])
        talk = [
            *HELLO,
            {"role": "assistant", "content": [use.model_dump()]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": use.id, "content": "18 degrees"},
                    {"type": "text", "text": "<system-reminder>be quick</system-reminder>"},
                ],
            },
            {"role": "system", "content": "answer in French"},
        ]
        answered = await client.messages.create(**asking(messages=talk, tools=TOOLS))
        assert answered.content[0].text == text(12)
        asked = target.last_request
        assert asked is not None
        if name == "messages":  # every word of it as it came
            assert (asked["messages"], asked["tools"]) == (talk, TOOLS)
            return
        roles = [message["role"] for message in asked["messages"]]
        assert roles[:4] == ["user", "assistant", "tool", "user"]
        assert (roles[4:] == ["system"]) == (name == "cloud")
        assert "be quick" in str(asked["messages"][3])
        assert "answer in French" in str(asked["messages"][3:])
        assert asked["tools"][0]["function"]["name"] == "weather"


@pytest.mark.parametrize("name", NAMES)
async def test_an_image_reaches_the_target(name: str) -> None:
    target = target_of(name)
    async with before(target) as (_, client):
        content = [{"type": "image", "source": PIXEL}, {"type": "text", "text": "what?"}]
        await client.messages.create(**asking(messages=[{"role": "user", "content": content}]))
        assert target.last_request is not None
        shown = str(PIXEL) if name == "messages" else "data:image/png;base64,aGk="
        assert shown in str(target.last_request["messages"])


@pytest.mark.parametrize("name", NAMES)
async def test_each_error_is_of_the_class_that_sdk_users_catch(name: str) -> None:
    target = target_of(name)
    async with before(target) as (_, client):
        with pytest.raises(anthropic.NotFoundError) as missing:
            await client.messages.create(**asking(model="house-modle"))
        body = cast("Any", missing.value.body)
        assert body["error"]["type"] == "not_found_error"
        assert body["error"]["code"] == "model_not_found"
        assert missing.value.request_id == body["request_id"] != ""
        with pytest.raises(anthropic.BadRequestError) as empty:
            await client.messages.create(**asking(messages=[]))
        assert cast("Any", empty.value.body)["error"]["type"] == "invalid_request_error"
        with pytest.raises(anthropic.BadRequestError, match="user, assistant or system"):
            await client.messages.create(**asking(messages=[{"role": "between", "content": "x"}]))
        target.disease = Disease("status", status=429, retry_after=7)
        with pytest.raises(anthropic.APIStatusError) as busy:
            await client.messages.create(**asking())
        assert busy.value.status_code == 503
        assert cast("Any", busy.value.body)["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize("disease", ["cut", "unfinished", "error_event", "bad_json_event"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_stream_that_breaks_raises_and_never_ends_in_message_stop(
    name: str,
    disease: Any,  # noqa: ANN401 - a literal
) -> None:
    """Rows 14 and 24."""
    target = target_of(name, pace=0.01)
    async with before(target) as (_, client):
        target.disease = Disease(disease, after=3)
        heard, kinds = "", list[str]()
        stream = await client.messages.create(**asking(stream=True))

        async def hear() -> None:
            nonlocal heard
            async for event in stream:
                kinds.append(event.type)
                if event.type == "content_block_delta":
                    heard += event.delta.text

        with pytest.raises(anthropic.APIError, match="not whole") as caught:
            await hear()
        assert heard == text(3)
        assert not {"message_delta", "message_stop"} & set(kinds)
        assert cast("Any", caught.value.body)["error"]["code"] == "attempts_failed"


@pytest.mark.parametrize("name", NAMES)
async def test_an_error_before_the_first_content_costs_the_client_nothing(name: str) -> None:
    """With nobody else to serve, it is an error of its own class, not a stream."""
    target = target_of(name)
    async with before(target) as (_, client):
        target.disease = Disease("status", status=500)
        with pytest.raises(anthropic.InternalServerError) as caught:
            await client.messages.create(**asking(stream=True))
        assert cast("Any", caught.value.body)["error"]["type"] == "api_error"


@pytest.mark.parametrize("name", NAMES)
async def test_a_client_that_leaves_frees_the_target(name: str) -> None:
    target = target_of(name, pace=0.05)
    async with before(target) as (world, client):
        stream = await client.messages.create(**asking(stream=True))
        async for _ in stream:
            break
        await stream.close()
        await target.until(lambda: target.cancelled_streams == 1)
        (line,) = await world.lines("request_done")
        assert line["outcome"] == "abandoned"


async def test_tokens_are_counted_though_nobody_could_serve_the_request() -> None:
    """Row 25: it says nothing of any target, whatever state those are in."""
    target = target_of("C")
    async with before(target) as (world, client):
        target.disease = Disease("status", status=500)
        asked = asking(system="Be brief.", tools=TOOLS)
        del asked["max_tokens"]
        told = await client.messages.count_tokens(**asked)
        assert told.input_tokens > 0
        assert not [row for row in (await world.look("/supervisor/breakers"))["breakers"]
                    if row["state"] != "closed" or row["failures"]]  # fmt: skip
        with pytest.raises(anthropic.BadRequestError) as wrong:
            await client.messages.count_tokens(model=MODEL, messages=[])
        body = cast("dict[str, Any]", wrong.value.body)
        assert body["error"]["code"] == "empty_messages"
        assert wrong.value.request_id == body["request_id"]
