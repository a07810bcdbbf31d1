"""The client's side of the dialect: Messages requests in.

A request becomes one of OpenAI's shape for whoever is asked in that, and keeps its own fields for
an upstream that speaks Messages. What the shape cannot say is a demand, named as the client's field
is: nobody is asked without it.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.outcomes import bad_request
from exo_supervisor.wire.anthropic.events import DIALECT
from exo_supervisor.wire.anthropic.tools import Tool, ToolChoice, tool_fields
from exo_supervisor.wire.anthropic.turns import Block, Conversation, Turn, system_text
from exo_supervisor.wire.chat.body import (
    check_limit,
    check_messages,
    check_model,
    check_stop,
    check_stop_size,
    missing,
    read_fields,
)
from exo_supervisor.wire.chat.members import Members, MembersDecoder
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.chat.translated import translated

_HEADERS = ("anthropic-version", "anthropic-beta")
_HEADER_VALUE = r"[!-~ ]{1,4096}"

_SAMPLING = ("temperature", "top_p", "top_k")

_EFFORTS = ((4_096, "low"), (16_384, "medium"))
"""Budgets of thinking up to which an effort is meant; more means `high`."""


class _Thinking(Members):
    harmless = frozenset({"display"})

    type: str
    budget_tokens: int = 0


class _Format(Members):
    type: str = ""
    schema: Raw = NULL


class _OutputConfig(Members):
    effort: str | None = None
    format: _Format | None = None


class _Edit(Struct):
    type: str = ""


class _ContextManagement(Members):
    edits: list[_Edit] | None = None


class _Known(Members):
    """The fields we read, in the only types that make sense for them.

    What is harmless changes the price, the pace or the books of an answer, but not the answer.
    """

    harmless = frozenset(
        {"metadata", "service_tier", "speed", "cache_control", "diagnostics", "user_profile_id",
         "workspace_id"}
    )  # fmt: skip

    model: str | None = None
    messages: list[Turn] | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    system: str | list[Block] | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    context_management: _ContextManagement | None = None


_known = MembersDecoder(msgspec.json.Decoder(_Known))


def read_messages(body: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """Read the body of a Messages request; raises BadRequestError, whose text holds none of it."""
    native = read_fields(body)
    check_stop_size(native, "stop_sequences")
    known, unknown = _known.read(body)
    model, turns = check_model(known.model), check_messages(known.messages)
    if known.max_tokens is None:
        raise missing("max_tokens")
    check_limit(known.max_tokens)
    stop = check_stop(known.stop_sequences, "stop_sequences")
    talk = Conversation(system_text(known.system or ""))
    for at, turn in enumerate(turns):
        talk.add(turn, at)
    messages = talk.messages()
    if all(message["role"] == "system" for message in messages):
        raise bad_request("empty_messages", "no message holds anything", "messages")
    demands = talk.demands.union(unknown)
    told: dict[str, object] = {
        "model": model,
        "messages": messages,
        **tool_fields(known.tools, known.tool_choice, demands),
        "max_tokens": native["max_tokens"],
        **{name: native[name] for name in _SAMPLING if native.get(name, NULL) != NULL},
        **({"stop": stop} if stop else {}),
        **_thought(known, demands),
        **_format(known, demands),
        "stream": bool(known.stream),
    }
    own = tuple((name, headers[name]) for name in _HEADERS if _can_go_on(headers.get(name)))
    return translated(
        body, native, told, dialect=DIALECT, limit=known.max_tokens, only_ours=demands,
        prefills=True, headers=own,
    )  # fmt: skip


def _can_go_on(value: str | None) -> bool:
    return value is not None and re.fullmatch(_HEADER_VALUE, value) is not None


def _thought(known: _Known, demands: set[str]) -> dict[str, object]:
    """Say how much is to be thought before the answer, as far as that can be said."""
    if known.context_management and not all(
        edit.type.startswith("clear_thinking") for edit in known.context_management.edits or ()
    ):  # thoughts are not kept elsewhere anyhow: a target's template drops them as it sees fit
        demands.add("context_management")
    effort = known.output_config and known.output_config.effort
    thinking = known.thinking
    if thinking is not None and thinking.type not in {"enabled", "disabled", "adaptive"}:
        demands.add("thinking")
    elif thinking is not None and thinking.type == "disabled":
        effort = "none"
    elif thinking is not None and thinking.type == "enabled" and effort is None:
        budget = thinking.budget_tokens
        effort = next((name for most, name in _EFFORTS if budget <= most), "high")
    return {} if effort is None else {"reasoning_effort": effort}


def _format(known: _Known, demands: set[str]) -> dict[str, object]:
    """Say which form the answer has to have."""
    wanted = (known.output_config and known.output_config.format) or known.output_format
    if wanted is None:
        return {}
    if wanted.type != "json_schema" or wanted.schema == NULL:
        demands.add("output_config.format")
        return {}
    schema = {"name": "answer", "schema": wanted.schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
