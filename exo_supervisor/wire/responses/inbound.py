"""The client's side of the dialect: Responses requests in.

A request becomes one of OpenAI's chat for whoever is asked. No upstream is asked in this dialect:
what a chat cannot say is refused by its name, and nothing is stored.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import bad_request
from exo_supervisor.wire.chat.body import (
    check_model,
    missing,
    read_fields,
    wrong,
)
from exo_supervisor.wire.chat.members import Members, MembersDecoder
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.chat.translated import translated
from exo_supervisor.wire.responses.items import Conversation, Item, Message
from exo_supervisor.wire.responses.tools import Tool, ToolChoice, refused, tool_fields

DIALECT: Final = "responses"

_STORED: Final = frozenset({"store", "previous_response_id", "conversation", "background"})
"""Fields that ask for an answer to be kept here, or for one that was."""
_SAMPLING: Final = ("temperature", "top_p")
_INCLUDED: Final = frozenset({"reasoning.encrypted_content"})
"""What may be asked to be told of, and is not there: no thought is encrypted."""


class _Format(Members):
    type: str = "text"
    name: str = "answer"
    description: str | None = None
    schema: Raw = NULL
    strict: bool | None = None


class _Text(Members):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(Members):
    """How much is to be thought; thoughts are told as they come, for whom and how ever."""

    harmless = frozenset({"summary", "generate_summary"})

    effort: str | None = None


class _Known(Members):
    """The fields we read, in the only types that make sense for them.

    What is harmless changes the price, the pace or the books of an answer, but not the answer.
    `max_tool_calls` counts calls of tools that OpenAI itself runs, and nobody here runs any.
    """

    harmless = frozenset(
        {"client_metadata", "max_tool_calls", "metadata", "prompt_cache_key",
         "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "service_tier",
         "stream_options", "user"}
    )  # fmt: skip

    model: str | None = None
    input: str | list[Item] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    truncation: str | None = None
    top_logprobs: int | None = None


_known = MembersDecoder(msgspec.json.Decoder(_Known))


def read_responses(body: bytes, _headers: Mapping[str, str]) -> ChatRequest:
    """Read the body of a Responses request; raises BadRequestError, whose text holds none of it."""
    native = read_fields(body)
    known, unknown = _known.read(body)
    model = check_model(known.model)
    if known.max_output_tokens == 0:
        raise wrong("max_output_tokens", "leave it out, or ask for one at least")
    _refuse(known, unknown)
    messages = _messages(known)
    told: dict[str, object] = {
        "model": model,
        "messages": messages,
        **tool_fields(known.tools, known.tool_choice, parallel=known.parallel_tool_calls),
        **_limits(known),
        **{name: native[name] for name in _SAMPLING if native.get(name, NULL) != NULL},
        **_form(known),
        "stream": bool(known.stream),
    }
    limit = known.max_output_tokens
    return translated(body, native, told, dialect=DIALECT, limit=limit, prefills=True)


def _refuse(known: _Known, unknown: list[str]) -> None:
    """Refuse what is asked for beyond a chat, each field by its name."""
    for name in unknown:
        if name in _STORED:
            raise refused(name, advice="nothing is stored here: send the whole input, store false")
        raise refused(name)
    if known.top_logprobs:
        raise refused("top_logprobs")
    for name in known.include or ():
        if name not in _INCLUDED:
            raise refused("include", name)
    if known.truncation not in {None, "disabled"}:
        raise refused("truncation", known.truncation or "", "no prompt is ever cut here")


def _messages(known: _Known) -> list[Message]:
    if known.input is None:
        raise missing("input")
    talk = Conversation(known.instructions or "")
    text = known.input
    items = text if isinstance(text, list) else [Item(role="user", content=_as_json(text))]
    for at, item in enumerate(items):
        talk.add(item, at)
    messages = talk.messages()
    if all(message["role"] == "system" for message in messages):
        raise bad_request("empty_messages", "no item of the input holds anything", "input")
    return messages


def _limits(known: _Known) -> dict[str, object]:
    limit, effort = known.max_output_tokens, known.reasoning and known.reasoning.effort
    return {
        **({} if limit is None else {"max_tokens": limit}),
        **({} if effort is None else {"reasoning_effort": effort}),
    }


def _form(known: _Known) -> dict[str, object]:
    """Say which form the answer has to have; a verbosity of `medium` is what none means."""
    told: dict[str, object] = {}
    if known.text is None:
        return told
    wanted = known.text.format
    match wanted and wanted.type:
        case None | "text":
            pass
        case "json_object":
            told["response_format"] = {"type": "json_object"}
        case "json_schema":
            told["response_format"] = {"type": "json_schema", "json_schema": _schema(wanted)}
        case other:
            raise refused("text.format.type", other or "")
    if known.text.verbosity not in {None, "medium"}:
        told["verbosity"] = known.text.verbosity
    return told


def _schema(wanted: _Format | None) -> dict[str, object]:
    if wanted is None or wanted.schema == NULL:
        raise wrong("text.format.schema", "it is missing")
    schema: dict[str, object] = {"name": wanted.name}
    if wanted.description is not None:
        schema["description"] = wanted.description
    schema["schema"] = wanted.schema
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return schema


def _as_json(text: str) -> Raw:
    return Raw(msgspec.json.encode(text))
