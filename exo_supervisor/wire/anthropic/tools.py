"""Tools of a Messages request as functions of OpenAI's shape."""

from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.body import NO_TOOLS, named, read_as, wrong
from exo_supervisor.wire.chat.members import Members
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import Fields

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_NO_CALL: Final = (None, "auto", "none")
_NEEDED: Final = {"type": Raw(b'"object"'), "properties": Raw(b"{}")}
"""What OpenAI's servers refuse a schema without."""


class Tool(Members):
    """One tool; those that Anthropic itself runs, or has taught its models, have a dated type.

    One whose loading is deferred is told at once, and its arguments stream as they come.
    """

    harmless = frozenset({"cache_control", "defer_loading", "eager_input_streaming"})
    types = frozenset({"custom"})

    type: str | None = None
    name: str | None = None
    description: str | None = None
    input_schema: Raw = NULL
    strict: bool | None = None
    input_examples: Raw = NULL
    allowed_callers: list[str] | None = None


class ToolChoice(Members):
    """Which tools may, or have to, be called."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_schema = msgspec.json.Decoder(Fields)


def tool_fields(
    tools: list[Tool] | None, choice: ToolChoice | None, demands: set[str]
) -> dict[str, object]:
    """Return the fields for them, none where there is no tool; adds what cannot be said."""
    told = list(tools or ())
    functions = [_function(tool, at) for at, tool in enumerate(told) if _is_own(tool, demands)]
    chosen = {} if choice is None else _chosen(choice)
    if not told and chosen.get("tool_choice") not in _NO_CALL:
        raise wrong("tool_choice", NO_TOOLS)
    return {"tools": functions, **chosen} if functions else {}


def _is_own(tool: Tool, demands: set[str]) -> bool:
    """Say whether a tool is the client's own, which any model can be told of."""
    if tool.type not in {None, "custom"}:
        demands.add(named("tools[].type", tool.type or ""))
        return False
    if tool.input_examples not in (NULL, Raw(b"[]")):
        demands.add("tools[].input_examples")
    if tool.allowed_callers not in (None, [], ["direct"]):
        demands.add("tools[].allowed_callers")
    return True


def _function(tool: Tool, at: int) -> dict[str, object]:
    if not tool.name:
        raise wrong(f"tools[{at}].name", "a tool has a name")
    schema = read_as(_schema, tool.input_schema, under=f"tools[{at}].input_schema")
    function: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = _whole(schema) or tool.input_schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _whole(schema: Fields) -> Fields | None:
    """Return a schema with what it lacks before the rest; None where it lacks nothing."""
    lacking = {name: raw for name, raw in _NEEDED.items() if schema.get(name, NULL) == NULL}
    if not lacking:
        return None
    return lacking | {name: raw for name, raw in schema.items() if name not in lacking}


def _chosen(choice: ToolChoice) -> dict[str, object]:
    told: dict[str, object] = {}
    if choice.type == "tool":
        if choice.name is None:
            raise wrong("tool_choice.name", "the tool to call has a name")
        told["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.type in _CHOICES:
        told["tool_choice"] = _CHOICES[choice.type]
    else:
        raise wrong("tool_choice.type", "it is auto, any, tool or none")
    if choice.disable_parallel_tool_use:
        told["parallel_tool_calls"] = False
    return told
