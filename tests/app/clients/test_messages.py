"""Anthropic's own SDK over the socket: what its users see, whoever serves behind."""

from typing import Any, cast

import anthropic
import pytest
from anthropic.types import Message

from exo_supervisor.demo import Cloud, Disease, MessagesCloud, text
from tests.app.clients.cells import behind
from tests.app.clients.conftest import House
from tests.app.clients.sdks import anthropics
from tests.app.world import HELLO, MODEL

pytestmark = pytest.mark.real_time

TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "of a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]
LIBRARY = anthropics


def asking(**more: Any) -> Any:  # noqa: ANN401 - arguments of the SDK
    return {"model": MODEL, "messages": HELLO, "max_tokens": 1000, **more}


async def streamed(client: Any, **more: Any) -> tuple[Message, list[Any]]:  # noqa: ANN401
    async with client.messages.stream(**asking(**more)) as stream:
        events = [event async for event in stream]
        return await stream.get_final_message(), events


async def test_the_sdk_reads_a_whole_message_and_a_stream(house: House) -> None:
    client = house.sdk
    whole = await client.messages.create(**asking())
    told, _ = await streamed(client)
    for message in (whole, told):
        assert [block.type for block in message.content] == ["text"]
        assert cast("Any", message.content[0]).text == text(12)
        assert (message.stop_reason, message.role) == ("end_turn", "assistant")
        assert message.model == house.model
        assert message.usage.output_tokens == 12
        assert message.usage.input_tokens > 0
        assert message.id.startswith("msg_")
    limited = await client.messages.create(**asking(max_tokens=2))
    assert limited.stop_reason == "max_tokens"


async def test_tools_pass_both_ways_with_their_arguments_streamed(house: House) -> None:
    """Row 5, and 7: a call alone, its arguments as they come, ends with tool_use."""
    target, client = house.target, house.sdk
    whole = await client.messages.create(**asking(tools=TOOLS))
    told, events = await streamed(client, tools=TOOLS)
    for message in (whole, told):
        assert message.stop_reason == "tool_use"
        (use,) = message.content
        assert use.type == "tool_use"
        assert (use.name, use.input) == ("weather", {"city": "Paris"})
    pieces = [event.partial_json for event in events if event.type == "input_json"]
    assert "".join(pieces) == '{"city": "Paris"}'
    assert len(pieces) > 1 or not isinstance(target, Cloud)
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
    if isinstance(target, MessagesCloud):  # every word of it as it came
        assert (asked["messages"], asked["tools"]) == (talk, TOOLS)
        return
    roles = [message["role"] for message in asked["messages"]]
    assert roles[:4] == ["user", "assistant", "tool", "user"]
    assert (roles[4:] == ["system"]) == isinstance(target, Cloud)
    assert "be quick" in str(asked["messages"][3])
    assert "answer in French" in str(asked["messages"][3:])
    assert asked["tools"][0]["function"]["name"] == "weather"


async def test_each_error_is_of_the_class_that_sdk_users_catch(house: House) -> None:
    client = house.sdk
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


@pytest.mark.parametrize("name", ["Exo C", "Anthropic-style"])
async def test_a_busy_target_is_an_overload_to_sdk_users(name: str) -> None:
    async with behind(name) as (world, target), anthropics(world) as client:
        target.disease = Disease("status", status=429, retry_after=7)
        with pytest.raises(anthropic.APIStatusError) as busy:
            await client.messages.create(**asking())
        assert busy.value.status_code == 503
        assert cast("Any", busy.value.body)["error"]["type"] == "overloaded_error"


@pytest.mark.parametrize("disease", ["cut", "unfinished", "error_event", "bad_json_event"])
async def test_a_stream_that_breaks_raises_and_never_ends_in_message_stop(
    house: House,
    disease: Any,  # noqa: ANN401 - a literal
) -> None:
    """Rows 14 and 24."""
    target, client = house.target, house.sdk
    target.disease, target.pace = Disease(disease, after=3), 0.01
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


async def test_tokens_are_counted_though_nobody_could_serve_the_request() -> None:
    """Row 25: it says nothing of any target, whatever state those are in."""
    async with behind("Exo C") as (world, target), anthropics(world) as client:
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
