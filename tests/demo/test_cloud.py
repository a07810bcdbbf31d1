"""The demo cloud speaks OpenAI's dialect, the openai SDK being the judge."""

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionToolParam, ChatCompletionUserMessageParam

from exo_supervisor.demo import Cloud, Disease, text

pytestmark = pytest.mark.real_time

ASK: ChatCompletionUserMessageParam = {"role": "user", "content": "Hello"}
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object"}},
}


def client(cloud: Cloud, key: str = "right") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=cloud.base_url, api_key=key, max_retries=0)


async def test_it_lists_its_models_to_those_who_have_the_key() -> None:
    async with Cloud("right", ("a", "b")) as cloud:
        async with client(cloud) as sdk:
            assert [model.id async for model in sdk.models.list()] == ["a", "b"]
        async with client(cloud, "wrong") as sdk:
            with pytest.raises(openai.AuthenticationError):
                _ = [model async for model in sdk.models.list()]


async def test_it_answers_whole() -> None:
    async with Cloud(models=("a",), tokens=5, pace=0) as cloud, client(cloud) as sdk:
        reply = await sdk.chat.completions.create(model="a", messages=[ASK])
        assert reply.choices[0].message.content == text(5)
        assert reply.usage
        assert cloud.seen == 1


async def test_it_streams_a_role_then_words_then_usage() -> None:
    async with Cloud(models=("a",), tokens=5, pace=0) as cloud, client(cloud) as sdk:
        chunks = [
            chunk
            async for chunk in await sdk.chat.completions.create(
                model="a",
                messages=[ASK],
                stream=True,
                stream_options={"include_usage": True},
            )
        ]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text(5)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert not chunks[-1].choices
    assert chunks[-1].usage
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


async def test_it_calls_tools_in_pieces() -> None:
    async with Cloud(models=("a",), pace=0) as cloud, client(cloud) as sdk:
        pieces = [
            call.function.arguments or ""
            async for chunk in await sdk.chat.completions.create(
                model="a",
                messages=[ASK],
                tools=[TOOL],
                stream=True,
            )
            for call in chunk.choices[0].delta.tool_calls or []
            if call.function
        ]
    assert "".join(pieces) == '{"city": "Paris"}'
    assert len(pieces) > 1


async def test_an_error_in_the_stream_raises_in_the_sdk() -> None:
    async with Cloud(models=("a",), pace=0) as cloud, client(cloud) as sdk:
        cloud.disease = Disease("error_event", after=2)
        stream = await sdk.chat.completions.create(model="a", messages=[ASK], stream=True)
        with pytest.raises(openai.APIError):
            _ = [chunk async for chunk in stream]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 429, 500, 503, 529])
async def test_its_refusals_are_openai_shaped(status: int) -> None:
    async with Cloud(models=("a",)) as cloud, httpx.AsyncClient() as http:
        cloud.disease = Disease("status", status=status, retry_after="9")
        url = f"{cloud.base_url}/chat/completions"
        reply = await http.post(url, json={"model": "a", "messages": [ASK]})
    assert (reply.status_code, reply.headers["retry-after"]) == (status, "9")
    assert reply.headers["x-request-id"]
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
