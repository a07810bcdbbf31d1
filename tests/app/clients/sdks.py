"""The clients that people have, each by its own library, under one face."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Protocol

import anthropic
import httpx
import httpx2
import ollama
import openai
from msgspec import Struct

from tests.app.world import MODEL, NO_TLS, PATIENCE, World

PIXEL: Final = "iVBORw0KGgo="
RESULT: Final = "18 degrees"
NAME: Final = "weather"
CITY: Final = {"type": "object", "properties": {"city": {"type": "string"}}}
HELLO: Final = {"role": "user", "content": "Hello"}


class Call(Struct, frozen=True):
    """A call of a tool."""

    id: str
    name: str
    arguments: str


class Ask(Struct, frozen=True):
    """What is asked for: an image is shown, tools are offered, a call has its result."""

    image: bool = False
    tools: bool = False
    call: Call | None = None


class Said(Struct, frozen=True):
    """A whole answer."""

    text: str
    calls: list[Call] = []


class Client(Protocol):
    """One library; a stream yields the words of its text, and of the arguments of its calls.

    It raises `refused` where there is an error instead of an answer, and `broken` within one.
    """

    refused: type[Exception]
    broken: type[Exception]

    async def ask(self, ask: Ask) -> Said: ...

    def stream(self, ask: Ask) -> AsyncGenerator[str]: ...


class Chat:
    """OpenAI's, by chat completions."""

    refused: type[Exception] = openai.InternalServerError
    broken: type[Exception] = openai.APIError

    def __init__(self, world: World) -> None:
        self.create: Any = world.sdk.chat.completions.create

    def body(self, ask: Ask) -> dict[str, Any]:
        talk: list[Any] = [HELLO]
        if ask.image:
            shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
            talk = [{"role": "user", "content": [shown, {"type": "text", "text": "what?"}]}]
        if ask.call is not None:
            function = {"name": ask.call.name, "arguments": ask.call.arguments}
            call = {"id": ask.call.id, "type": "function", "function": function}
            talk += [
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": ask.call.id, "content": RESULT},
            ]
        tool = {"type": "function", "function": {"name": NAME, "parameters": CITY}}
        return {"model": MODEL, "messages": talk} | ({"tools": [tool]} if ask.tools else {})

    async def ask(self, ask: Ask) -> Said:
        (choice,) = (await self.create(**self.body(ask))).choices
        told = choice.message.tool_calls or ()
        calls = [Call(each.id, each.function.name, each.function.arguments) for each in told]
        return Said(choice.message.content or "", calls)

    async def stream(self, ask: Ask) -> AsyncGenerator[str]:
        async with await self.create(stream=True, **self.body(ask)) as chunks:
            async for chunk in chunks:
                for choice in chunk.choices:
                    yield choice.delta.content or ""
                    for call in choice.delta.tool_calls or ():
                        yield call.function.arguments or ""


class ResponseFailedError(Exception):
    """A stream told that its response failed, and was cut."""


class Responses:
    """OpenAI's, by the Responses API."""

    refused: type[Exception] = openai.InternalServerError
    broken: type[Exception] = ResponseFailedError

    def __init__(self, world: World) -> None:
        self.create: Any = world.sdk.responses.create

    def body(self, ask: Ask) -> dict[str, Any]:
        talk: list[Any] = [HELLO]
        if ask.image:
            shown = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
            text = {"type": "input_text", "text": "what?"}
            talk = [{"role": "user", "content": [shown | {"detail": "auto"}, text]}]
        if ask.call is not None:
            called = {"type": "function_call", "call_id": ask.call.id, "name": ask.call.name}
            result = {"type": "function_call_output", "call_id": ask.call.id, "output": RESULT}
            talk += [called | {"arguments": ask.call.arguments}, result]
        tool = {"type": "function", "name": NAME, "parameters": CITY, "strict": False}
        return {"model": MODEL, "input": talk} | ({"tools": [tool]} if ask.tools else {})

    async def ask(self, ask: Ask) -> Said:
        told = await self.create(**self.body(ask))
        called = [item for item in told.output if item.type == "function_call"]
        calls = [Call(item.call_id, item.name, item.arguments) for item in called]
        return Said(told.output_text, calls)

    async def stream(self, ask: Ask) -> AsyncGenerator[str]:
        told = {"response.output_text.delta", "response.function_call_arguments.delta"}
        last = ""
        async with await self.create(stream=True, **self.body(ask)) as events:
            try:
                async for event in events:
                    last = event.type
                    if last in told:
                        yield event.delta
            except openai.APIConnectionError as cut:
                if last == "response.failed":
                    raise ResponseFailedError from cut
                raise


class Messages:
    """Anthropic's."""

    refused: type[Exception] = anthropic.InternalServerError
    broken: type[Exception] = anthropic.APIError

    def __init__(self, sdk: Any) -> None:  # noqa: ANN401 - its types are of httpx2, unknown here
        self.create = sdk.messages.create

    def body(self, ask: Ask) -> dict[str, Any]:
        talk: list[Any] = [HELLO]
        if ask.image:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            shown = {"type": "image", "source": source}
            talk = [{"role": "user", "content": [shown, {"type": "text", "text": "what?"}]}]
        if ask.call is not None:
            use = {"type": "tool_use", "id": ask.call.id, "name": ask.call.name}
            use["input"] = json.loads(ask.call.arguments)
            result = {"type": "tool_result", "tool_use_id": ask.call.id, "content": RESULT}
            talk += [
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result]},
            ]
        body = {"model": MODEL, "messages": talk, "max_tokens": 1000}
        return body | ({"tools": [{"name": NAME, "input_schema": CITY}]} if ask.tools else {})

    async def ask(self, ask: Ask) -> Said:
        blocks = (await self.create(**self.body(ask))).content
        used = [block for block in blocks if block.type == "tool_use"]
        calls = [Call(block.id, block.name, json.dumps(block.input)) for block in used]
        return Said("".join(block.text for block in blocks if block.type == "text"), calls)

    async def stream(self, ask: Ask) -> AsyncGenerator[str]:
        async with await self.create(stream=True, **self.body(ask)) as events:
            async for event in events:
                match getattr(getattr(event, "delta", None), "type", ""):
                    case "text_delta":
                        yield event.delta.text
                    case "input_json_delta":
                        yield event.delta.partial_json
                    case _:
                        pass


class Ollama:
    """Ollama's; it tells a call at once, and gives it no id."""

    refused: type[Exception] = ollama.ResponseError
    broken: type[Exception] = ollama.ResponseError

    def __init__(self, sdk: Any) -> None:  # noqa: ANN401 - typed in part only
        self.chat = sdk.chat

    def body(self, ask: Ask) -> dict[str, Any]:
        talk: list[Any] = [HELLO | ({"images": [PIXEL]} if ask.image else {})]
        if ask.call is not None:
            function = {"name": ask.call.name, "arguments": json.loads(ask.call.arguments)}
            talk += [
                {"role": "assistant", "tool_calls": [{"function": function}]},
                {"role": "tool", "tool_name": ask.call.name, "content": RESULT},
            ]
        tool = {"type": "function", "function": {"name": NAME, "parameters": CITY}}
        return {"model": MODEL, "messages": talk} | ({"tools": [tool]} if ask.tools else {})

    async def ask(self, ask: Ask) -> Said:
        told = (await self.chat(**self.body(ask))).message
        made = [each.function for each in told.tool_calls or ()]
        calls = [Call("", each.name, json.dumps(dict(each.arguments))) for each in made]
        return Said(told.content or "", calls)

    async def stream(self, ask: Ask) -> AsyncGenerator[str]:
        async with aclosing(await self.chat(stream=True, **self.body(ask))) as lines:
            async for line in lines:
                yield line.message.content or ""
                for call in line.message.tool_calls or ():
                    yield json.dumps(dict(call.function.arguments))


@asynccontextmanager
async def chat(world: World) -> AsyncGenerator[Client]:
    """Open OpenAI's library, for chat completions."""
    yield Chat(world)


@asynccontextmanager
async def responses(world: World) -> AsyncGenerator[Client]:
    """Open OpenAI's library, for the Responses API."""
    yield Responses(world)


@asynccontextmanager
async def messages(world: World) -> AsyncGenerator[Client]:
    """Open Anthropic's library."""
    async with anthropics(world) as sdk:
        yield Messages(sdk)


@asynccontextmanager
async def anthropics(world: World) -> AsyncGenerator[Any]:
    """Open Anthropic's library itself, whose own types are of httpx2, unknown here."""
    transport = httpx2.AsyncHTTPTransport(uds=world.path, verify=NO_TLS)
    async with httpx2.AsyncClient(transport=transport, timeout=PATIENCE) as plain:
        more: Any = {"http_client": plain, "max_retries": 0}
        yield anthropic.AsyncAnthropic(base_url="http://house", api_key="no", **more)


@asynccontextmanager
async def of_ollama(world: World) -> AsyncGenerator[Client]:
    """Open Ollama's library."""
    async with ollamas(world) as sdk:
        yield Ollama(sdk)


@asynccontextmanager
async def ollamas(world: World) -> AsyncGenerator[Any]:
    """Open Ollama's library itself, which is typed in part only."""
    async with httpx.AsyncHTTPTransport(uds=world.path, verify=NO_TLS) as transport:
        more: Any = {"transport": transport, "timeout": PATIENCE}
        yield ollama.AsyncClient(host="http://house", **more)
