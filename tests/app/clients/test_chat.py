"""OpenAI's own SDK over the socket: what its users see."""

from typing import Any

import openai
import pytest

from exo_supervisor.demo import Cloud, Disease, ExoNode, text
from tests.app.world import CLOUD_MODEL, EXO_MODEL, HELLO, KEY, MODEL, World, in_process

pytestmark = pytest.mark.real_time

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


def pair() -> tuple[ExoNode, Cloud]:
    return ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)


def headers(route: str) -> dict[str, str]:
    return {"x-supervisor-route": route}


@pytest.mark.parametrize("route", ["exo", "cloud"])
async def test_the_sdk_reads_a_whole_answer_and_a_stream(route: str) -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        whole = await world.sdk.chat.completions.create(
            model=MODEL, messages=HELLO, extra_headers=headers(route)
        )
        assert whole.choices[0].message.content == text(12)
        assert (whole.object, whole.choices[0].finish_reason) == ("chat.completion", "stop")
        assert whole.model == {"exo": EXO_MODEL, "cloud": CLOUD_MODEL}[route]
        assert whole.usage is not None
        assert whole.usage.completion_tokens == 12
        for wanted in (False, True):
            stream = await world.sdk.chat.completions.create(
                model=MODEL,
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": wanted},
                extra_headers=headers(route),
            )
            chunks = [chunk async for chunk in stream]
            said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
            assert "".join(filter(None, said)) == text(12)
            assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
            assert len({chunk.id for chunk in chunks}) == 1
            usages = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
            assert usages == [12] * wanted
            ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
            assert [end for end in ends if end] == ["stop"]


@pytest.mark.parametrize("route", ["exo", "cloud"])
@pytest.mark.parametrize("generation", ["B", "C"])
async def test_tools_pass_through_both_ways(route: str, generation: Any) -> None:  # noqa: ANN401 - a literal
    """The call comes back whole or in pieces, and its result goes to the target as it is."""
    node, cloud = ExoNode(generation, pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        whole = await world.sdk.chat.completions.create(
            model=MODEL, messages=HELLO, tools=TOOLS, extra_headers=headers(route)
        )
        (call,) = whole.choices[0].message.tool_calls or []
        assert whole.choices[0].finish_reason == "tool_calls"
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Paris"}')
        assert await streamed_call(world, route) == ("weather", '{"city": "Paris"}')
        asked = cloud if route == "cloud" else node
        assert asked.last_request is not None
        assert asked.last_request["tools"] == TOOLS
        talk: list[Any] = [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
        ]
        told = await world.sdk.chat.completions.create(
            model=MODEL, messages=talk, tools=TOOLS, extra_headers=headers(route)
        )
        assert told.choices[0].message.content == text(12)
        assert asked.last_request["messages"][1:] == talk[1:]


async def streamed_call(world: World, route: str) -> tuple[str, str]:
    stream = await world.sdk.chat.completions.create(
        model=MODEL, messages=HELLO, tools=TOOLS, stream=True, extra_headers=headers(route)
    )
    name, arguments, end = "", "", None
    async for chunk in stream:
        for choice in chunk.choices:
            end = choice.finish_reason or end
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert end == "tool_calls"
    return name, arguments


async def test_models_are_listed_and_found_by_ids_with_slashes() -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        await world.until("/v1/models", lambda body: len(body["data"]) == 3)
        listed = [model.id async for model in world.sdk.models.list()]
        assert listed == [MODEL, EXO_MODEL, CLOUD_MODEL]
        for name in listed:
            assert (await world.sdk.models.retrieve(name)).id == name
        with pytest.raises(openai.NotFoundError) as caught:
            await world.sdk.models.retrieve("nobody/has-this")
        assert caught.value.code == "model_not_found"


async def test_each_error_is_of_the_class_that_sdk_users_catch() -> None:
    node, cloud = pair()
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        create = world.sdk.chat.completions.create
        with pytest.raises(openai.NotFoundError) as missing:
            await create(model="house-modle", messages=HELLO)
        assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
        assert f"similar: {MODEL}" in missing.value.message
        with pytest.raises(openai.BadRequestError) as empty:
            await create(model=MODEL, messages=[])
        assert (empty.value.code, empty.value.type) == ("empty_messages", "invalid_request_error")
        with pytest.raises(openai.PermissionDeniedError) as private:
            await create(
                model=CLOUD_MODEL,
                messages=HELLO,
                extra_headers={"x-supervisor-privacy": "local_only"},
            )
        assert private.value.code == "privacy"
        node.disease = cloud.disease = Disease("status", status=429, retry_after=7)
        with pytest.raises(openai.InternalServerError) as busy:
            await create(model=MODEL, messages=HELLO)
        assert (busy.value.status_code, busy.value.code) == (503, "overloaded")
        assert 1 <= int(busy.value.response.headers["retry-after"]) <= 7


async def test_what_is_in_vain_is_asked_for_once_and_what_may_mend_itself_again() -> None:
    """An SDK asks again, twice, after any 5xx, unless it is told not to."""
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node) as world:
        await world.ready()
        node.disease = Disease("status", status=502)
        create = world.sdk.with_options(max_retries=2).chat.completions.create
        with pytest.raises(openai.InternalServerError) as spent:
            await create(model=MODEL, messages=HELLO)
        assert (spent.value.status_code, spent.value.code) == (502, "attempts_failed")
        assert spent.value.response.headers["x-should-retry"] == "false"
        assert len(await world.lines("request_done")) == 1
        node.disease = Disease("status", status=429, retry_after=1)
        with pytest.raises(openai.InternalServerError) as busy:
            await create(model=MODEL, messages=HELLO)
        assert busy.value.code == "overloaded"
        assert "x-should-retry" not in busy.value.response.headers
        assert len(await world.lines("request_done", 4)) == 4


@pytest.mark.parametrize("name", ["cut", "unfinished", "error_event"])
@pytest.mark.parametrize("generation", ["A", "B", "C"])
async def test_a_stream_that_breaks_raises_in_the_sdk(name: Any, generation: Any) -> None:  # noqa: ANN401 - literals
    node = ExoNode(generation, pace=0.01)
    async with node, in_process(node) as world:
        await world.ready()
        node.disease = Disease(name, after=3)
        stream = await world.sdk.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        heard = ""

        async def hear() -> None:
            nonlocal heard
            async for chunk in stream:
                heard += chunk.choices[0].delta.content or ""

        with pytest.raises(openai.APIError, match="not whole") as caught:
            await hear()
        assert heard == text(3)
        assert caught.value.code == "attempts_failed"
