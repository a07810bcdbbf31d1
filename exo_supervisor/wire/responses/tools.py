"""Tools of a Responses request as functions, and whose call a call of such a function is.

A custom tool, which takes a text, is a function with the text as its one argument. The tools of a
namespace are functions whose names begin with its own.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, structs

from exo_supervisor.core.outcomes import BadRequestError, bad_request
from exo_supervisor.wire.chat.body import NO_TOOLS, named, wrong
from exo_supervisor.wire.chat.members import Members
from exo_supervisor.wire.chat.piece import NULL

INPUT: Final = "input"
"""The argument that stands for the text of a custom tool."""
_INPUT_SCHEMA: Final = {
    "type": "object",
    "properties": {INPUT: {"type": "string"}},
    "required": [INPUT],
    "additionalProperties": False,
}
_NO_CALL: Final = (None, "auto", "none")
_CHOICES: Final = frozenset({"auto", "none", "required"})
_APART = "__"
_WEB_SEARCH = "web_search"


class _Grammar(Members):
    type: str = "text"
    syntax: str = ""
    definition: str = ""


_OWN: Final = frozenset({"function", "custom", "namespace"})


class Function(Members):
    """One tool that is called; those that OpenAI itself runs have a type of their own.

    One whose loading is deferred is told at once.
    """

    harmless = frozenset({"defer_loading"})
    types = frozenset({"function", "custom"})

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None
    format: _Grammar | None = None


class Tool(Function):
    """One tool, or a namespace of some."""

    types = _OWN

    tools: list[Function] | None = None


class ToolChoice(Members):
    """Which tools may, or have to, be called."""

    types = frozenset({"function", "custom", "allowed_tools"})

    type: str
    name: str | None = None
    mode: str | None = None
    tools: list[Tool] | None = None


class Named(NamedTuple):
    """A tool as its client knows it."""

    name: str
    namespace: str | None = None
    custom: bool = False

    def flat(self) -> str:
        """Return the name of its function."""
        space = self.namespace or ""
        apart = _APART if space and not space.endswith(_APART) else ""
        return f"{space}{apart}{self.name}"


_tools: msgspec.json.Decoder[list[Tool] | None] = msgspec.json.Decoder(list[Tool] | None)


def names_in(tools: Raw) -> dict[str, Named]:
    """Return the tools of a request by the names of their functions."""
    told = (each for each, _ in _walk(_tools.decode(tools) or (), "tools", None))
    return {each.flat(): each for each in told}


def tool_fields(
    tools: list[Tool] | None, choice: str | ToolChoice | None, *, parallel: bool | None
) -> dict[str, object]:
    """Return the fields for them, none where there is no tool; raises BadRequestError."""
    functions: dict[str, dict[str, object]] = {}
    for name, tool in _walk(tools or (), "tools", None):
        if name.flat() in functions:
            raise wrong("tools", "two of them have one name")
        functions[name.flat()] = _function(name, tool)
    told = None if choice is None else _chosen(choice, functions)
    if not functions:
        if told not in _NO_CALL:
            raise wrong("tool_choice", NO_TOOLS)
        return {}
    fields: dict[str, object] = {
        "tools": [{"type": "function", "function": each} for each in functions.values()]
    }
    if told is not None:
        fields["tool_choice"] = told
    if parallel is not None:
        fields["parallel_tool_calls"] = parallel
    return fields


def refused(name: str, value: str = "", advice: str = "leave it out") -> BadRequestError:
    """Return the error of what cannot be said to any target: none speaks this dialect."""
    field = named(name, value) if value else name
    text = f"no target takes {field} of the Responses API; {advice}"
    return bad_request("unsupported_field", text, name.partition("[")[0].partition(".")[0])


def _walk(
    tools: Iterable[Function], where: str, space: str | None
) -> Iterator[tuple[Named, Function]]:
    for at, tool in enumerate(tools):
        here = f"{where}[{at}]"
        if tool.type not in _OWN:
            off = ' (Codex does so with `web_search = "disabled"` in its config.toml)'
            advice = f"leave it out{off if tool.type == _WEB_SEARCH else ''}"
            raise refused("tools[].type", tool.type, advice)
        if not tool.name:
            raise wrong(f"{here}.name", "a tool has a name")
        if tool.type != "namespace":
            yield Named(tool.name, space, tool.type == "custom"), tool
        elif isinstance(tool, Tool) and space is None:
            yield from _walk(_described(tool), f"{here}.tools", tool.name)
        else:
            raise wrong(here, "a namespace stands in none")


def _described(space: Tool) -> list[Function]:
    """Return the tools of a namespace, the first of which tells what is said of them all."""
    if not space.tools or not space.description:
        return space.tools or []
    first, *others = space.tools
    words = f"{first.description or ''}\n\nOf all tools of {space.name}: {space.description}"
    return [structs.replace(first, description=words.lstrip()), *others]


def _function(name: Named, tool: Function) -> dict[str, object]:
    function: dict[str, object] = {"name": name.flat()}
    words = tool.description
    if tool.format is not None and tool.format.type not in {"text", "grammar"}:
        raise refused("tools[].format.type", tool.format.type)
    if name.custom and tool.format is not None and tool.format.definition:
        rule = f"The {INPUT} follows this {tool.format.syntax} grammar:\n{tool.format.definition}"
        words = f"{words}\n\n{rule}" if words else rule
    if words is not None:
        function["description"] = words
    if name.custom:
        function["parameters"] = _INPUT_SCHEMA
    elif tool.parameters != NULL:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _chosen(choice: str | ToolChoice, functions: dict[str, dict[str, object]]) -> object:
    """Return the choice in OpenAI's shape; of tools that are not allowed none is told."""
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise wrong("tool_choice", "it is auto, none, required or an object")
        return choice
    if choice.type == "allowed_tools":
        allowed = {each.flat() for each, _ in _walk(choice.tools or (), "tool_choice.tools", None)}
        for name in functions.keys() - allowed:
            del functions[name]
        return choice.mode or "auto"
    if choice.type not in {"function", "custom"}:
        raise refused("tool_choice.type", choice.type)
    if choice.name is None:
        raise wrong("tool_choice.name", "the tool to call has a name")
    return {"type": "function", "function": {"name": choice.name}}
