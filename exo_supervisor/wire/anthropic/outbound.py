"""The provider's side of the dialect: Messages requests out."""

from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.anthropic.events import DIALECT
from exo_supervisor.wire.anthropic.outbound_turns import beside, system_and_turns
from exo_supervisor.wire.chat.body import ANY_JSON, demands_of
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import Ask, ChatRequest, Fields, Kind
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.openai.outbound import request_headers as common_headers

VERSION: Final = "2023-06-01"
MAX_TOKENS: Final = 8_192
"""Tokens of an answer where the client named no limit: Messages needs one."""

IGNORED: Final = frozenset(
    {"n", "logprobs", "logit_bias", "modalities", "audio", "web_search_options", "functions",
     ANY_JSON}
)  # fmt: skip
"""Demands of OpenAI's shape that Messages has no word for."""

_LEFT_OUT: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "max_tokens",
     "parallel_tool_calls", "max_completion_tokens", "stop", "reasoning_effort", "user", "n",
     "response_format", "metadata", "store", "service_tier", "prompt_cache_key", "modalities",
     "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "logprobs", "audio",
     "top_logprobs", "prediction", "functions", "function_call", "web_search_options", "logit_bias"}
)  # fmt: skip
"""Fields that are said otherwise, that change no answer, or that are demands; any other goes along,
for the provider to take or to refuse by its name."""
_SAME: Final = frozenset({"temperature", "top_p", "top_k", "thinking"})
"""Fields that a row fills in and that Messages call so, too."""
_PENALTIES: Final = frozenset({"frequency_penalty", "presence_penalty"})
_ZEROS: Final = (Raw(b"0"), Raw(b"0.0"))
_CHOICES: Final = {b'"auto"': "auto", b'"required"': "any", b'"none"': "none"}
_NO_CALL: Final = ("auto", "none")
_EFFORTS: Final = {b'"minimal"': Raw(b'"low"')}
_NONE: Final = Raw(b'"none"')
_NO_FORM: Final = (NULL, Raw(b'"text"'), Raw(b'"json_object"'))
"""Of which the last is a demand."""
_NO_SCHEMA: Final = Raw(b'{"type":"object","properties":{}}')

_list = msgspec.json.Decoder(list[Raw])
_texts = msgspec.json.Decoder(str | list[str] | None)


def url(base: str, _kind: Kind) -> str:
    """Return where a provider takes Messages; its base URL may end with /v1 or not."""
    return f"{root(base)}/messages"


def models_url(base: str) -> str:
    """Return where a provider lists its models."""
    return f"{root(base)}/models?limit=1000"


def root(base: str) -> str:
    """Return a base URL with its version, however it was written."""
    return f"{base.rstrip('/').removesuffix('/v1')}/v1"


def request_headers(key: str | None) -> dict[str, str]:
    """All headers of a request; those of a request in Messages are put over them."""
    headers = common_headers(None) | {"anthropic-version": VERSION}
    return headers if key is None else headers | {"x-api-key": key}


def encode(request: ChatRequest, ask: Ask) -> bytes:
    """Write the request: a Messages one as it came, but for its model and whether it streams."""
    if request.dialect == DIALECT and request.native is not None:
        fields = _with(request.filled, request.native)
    else:
        fields = _translated(request)
    fields["model"] = ask.model
    fields["stream"] = ask.streamed
    return msgspec.json.encode(fields)


def unsaid(defaults: Fields) -> list[str]:
    """Name what a row fills in and Messages have no word for, so that a provider may refuse it."""
    lost = defaults.keys() - _LEFT_OUT - _SAME - {"dimensions", "encoding_format"}
    demands = demands_of(defaults)
    if ANY_JSON in demands:
        lost |= {"response_format"}
    return sorted(lost | demands & (IGNORED - {ANY_JSON}))


def _with(filled: Fields, native: Fields) -> dict[str, object]:
    """Return a Messages request as it came, and what its row fills in as far as there are words."""
    if not filled:
        return {**native}
    own = members(native.get("output_config", NULL))
    if native.get("output_format", NULL) != NULL:  # its older name
        filled = {name: raw for name, raw in filled.items() if name != "response_format"}
    ours = _stop(filled) | _thinking(filled)
    ours |= {name: raw for name, raw in filled.items() if name in _SAME or _goes_along(name, raw)}
    config = {**_config(filled), **own}
    return {**ours, **native, **({"output_config": config} if config else {})}


def _translated(request: ChatRequest) -> dict[str, object]:
    told = request.fields
    system, turns = system_and_turns(told["messages"])
    fields: dict[str, object] = {
        "model": "",
        "messages": turns,
        "max_tokens": MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        "stream": True,
    }
    if system:
        fields["system"] = system
    fields |= _tools(told)
    fields |= _stop(told)
    if bytes(told.get("user", NULL)).startswith(b'"'):
        fields["metadata"] = {"user_id": told["user"]}
    fields |= _thinking(told)
    if config := _config(told):
        fields["output_config"] = config
    return fields | {name: raw for name, raw in told.items() if _goes_along(name, raw)}


def _goes_along(name: str, raw: Raw) -> bool:
    if name in _LEFT_OUT or raw == NULL:
        return False
    return name not in _PENALTIES or raw not in _ZEROS


def _tools(told: Fields) -> dict[str, object]:
    raw = told.get("tools", NULL)
    tools = _list.decode(raw) if bytes(raw).startswith(b"[") else []
    choice = _choice(told.get("tool_choice", NULL))
    if not tools:  # a choice of none is refused by its name, unless it asks for nothing
        asks = choice and choice.get("type") not in _NO_CALL
        return {"tool_choice": choice} if asks else {}
    fields: dict[str, object] = {"tools": [_tool(tool) for tool in tools]}
    if told.get("parallel_tool_calls") == Raw(b"false"):
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return fields | ({"tool_choice": choice} if choice else {})


def _tool(raw: Raw) -> object:
    tool = members(raw)
    function = members(tool.get("function", NULL))
    if not function:
        return tool  # of a type that Messages may know, or else refuses
    parameters = function.pop("parameters", NULL)
    schema = _NO_SCHEMA if parameters == NULL else parameters
    return {**function, **beside(tool, "type", "function"), "input_schema": schema}


def _choice(raw: Raw) -> dict[str, object]:
    told = bytes(raw)
    if (word := _CHOICES.get(told)) is not None:
        return {"type": word}
    if told.startswith(b'"'):
        return {"type": raw}
    named = members(raw)
    if function := members(named.get("function", NULL)):
        return {**function, **beside(named, "type", "function"), "type": "tool"}
    return {**named}


def _stop(told: Fields) -> dict[str, object]:
    stop = _texts.decode(told.get("stop", NULL))
    return {"stop_sequences": [stop] if isinstance(stop, str) else stop} if stop else {}


def _thinking(told: Fields) -> dict[str, object]:
    return {"thinking": {"type": "disabled"}} if told.get("reasoning_effort") == _NONE else {}


def _config(told: Fields) -> dict[str, object]:
    """Say how much to think, and which form the answer has."""
    config: dict[str, object] = {}
    effort = told.get("reasoning_effort", NULL)
    if effort not in (_NONE, NULL):
        config["effort"] = _EFFORTS.get(bytes(effort), effort)
    if form := _format(members(told.get("response_format", NULL))):
        config["format"] = form
    return config


def _format(form: Fields) -> Fields:
    """Return the form of an answer; one without a word here is handed on, to be refused by name.

    What a schema is for is said in the schema; its name tells nobody anything, and it is kept to in
    any case.
    """
    if form.get("type", NULL) in _NO_FORM:
        return {}
    told = members(form.get("json_schema", NULL))
    if "schema" not in told:
        return form
    schema = told["schema"]
    if "description" in told:
        schema = Raw(msgspec.json.encode({"description": told["description"], **members(schema)}))
    rest = beside(told, "name", "description", "schema", "strict")
    return {"type": form["type"], "schema": schema, **beside(form, "type", "json_schema"), **rest}
