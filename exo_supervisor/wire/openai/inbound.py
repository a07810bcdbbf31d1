"""The client's side of the dialect: chat requests in."""

import re

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.outcomes import BadRequestError, Refusal, bad_request
from exo_supervisor.wire.bounds import MAX_CHAT_VALUES, MAX_NAME_CHARS, has_few_values
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest, Fields
from exo_supervisor.wire.exo.hazards import read_hazards


class _Message(Struct):
    """Any object; but for these two, what is in a message is between client and target."""

    role: object = None
    content: Raw = NULL

    def speaks(self) -> bool:
        """Whether it has content, and is not the assistant's."""
        return self.role != "assistant" and self.content != NULL


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Known(Struct):
    """The fields we read, in the only types that make sense for them."""

    model: str | None = None
    messages: list[_Message] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None


_HARMLESS: dict[str, tuple[object, ...]] = {
    "n": (None, 1),
    "response_format": (None, {"type": "text"}),
    "logit_bias": (None, {}),
    "logprobs": (None, False),
    "modalities": (None, [], ["text"]),
    "audio": (None,),
    "web_search_options": (None,),
    "tools": (None, []),
    "functions": (None, []),
    "tool_choice": (None, "auto", "none"),
    "parallel_tool_calls": (None, True),
}
"""Values that mean the same as leaving the field out; any other value is a demand."""

_TOOL_RULES = frozenset({"tool_choice", "parallel_tool_calls"})
_LONGEST_HARMLESS = 256
_LARGE = object()
"""Stands for a value that is too long to be harmless; nothing equals it."""

_MOST_STOPS = 64
_MOST_STOP_CHARS = 4096
_MOST_STOP_BYTES = 64 * 1024
"""More than the allowed stop texts can take as JSON, twelve bytes a character."""

_fields = msgspec.json.Decoder(Fields)
_known = msgspec.json.Decoder(_Known)


def read_chat(body: bytes) -> ChatRequest:
    """Read the body of a chat request; raises BadRequestError, whose text holds no value of it."""
    if not has_few_values(body):
        text = f"the body holds more than {MAX_CHAT_VALUES} values"
        raise BadRequestError(Refusal(413, "body_too_large", text))
    fields = _read_fields(body)
    if "stop" in fields and len(fields["stop"]) > _MOST_STOP_BYTES:
        raise _too_much_stop()
    known = _read_known(body)
    if known.model is None:
        raise bad_request("missing_field", "the field model is missing", "model")
    if not known.model:
        raise bad_request("wrong_type", "the field model is empty", "model")
    if len(known.model) > MAX_NAME_CHARS:
        text = f"the field model has more than {MAX_NAME_CHARS} characters"
        raise bad_request("wrong_type", text, "model")
    if known.messages is None:
        raise bad_request("missing_field", "the field messages is missing", "messages")
    if not known.messages:
        raise bad_request(
            "empty_messages", "the list messages is empty; it needs one message", "messages"
        )
    limit = known.max_tokens if known.max_completion_tokens is None else known.max_completion_tokens
    if limit == 0:  # Exo takes it for no limit, and would generate 32168 tokens
        text = "the field max_tokens is 0; leave it out, or ask for one at least"
        raise bad_request("wrong_type", text, "max_tokens")
    stop = [known.stop] if isinstance(known.stop, str) else known.stop or []
    if len(stop) > _MOST_STOPS or sum(map(len, stop)) > _MOST_STOP_CHARS:
        raise _too_much_stop()
    return ChatRequest(
        model=known.model,
        stream=bool(known.stream),
        include_usage=bool(known.stream_options and known.stream_options.include_usage),
        demands=_read_demands(fields),
        hazards=read_hazards(body, fields, (message.speaks() for message in known.messages)),
        max_tokens=limit,
        stop=tuple(text for text in stop if text),
        n=known.n,
        fields=fields,
    )


def _too_much_stop() -> BadRequestError:
    bound = f"{_MOST_STOPS} texts of {_MOST_STOP_CHARS} characters in all"
    return bad_request("wrong_type", f"the field stop holds more than {bound}", "stop")


def _read_fields(body: bytes) -> Fields:
    """Every top-level field as it came; the whole body is checked, raw parts included."""
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look for UTF-8 in what it keeps raw
        return _fields.decode(body)
    except msgspec.ValidationError:
        raise bad_request("bad_json", "the body is JSON, but not an object") from None
    except msgspec.DecodeError as error:
        place = re.search(r"\(byte \d+\)", str(error))
        where = f" {place.group()}" if place else ""
        raise bad_request("bad_json", f"the body is not valid JSON{where}") from None
    except UnicodeDecodeError as error:
        raise bad_request("bad_json", f"the body is not valid UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise bad_request("bad_json", "the body nests its JSON too deeply") from None


def _read_known(body: bytes) -> _Known:
    try:
        return _known.decode(body)
    except msgspec.ValidationError as error:
        wanted, _, path = str(error).partition(" - at `$.")
        path = path.rstrip("`")
        name = re.split(r"[.\[]", path)[0]
        reason = wanted[:1].lower() + wanted[1:]
        raise bad_request(
            "wrong_type", f"the field {path} has the wrong type: {reason}", name
        ) from None


def _read_demands(fields: Fields) -> frozenset[str]:
    present = [name for name in _HARMLESS if name in fields]
    values = {name: _value(name, fields[name]) for name in present}
    demands = {name for name in present if values[name] not in _HARMLESS[name]}
    if "tools" not in demands:
        demands -= _TOOL_RULES
    elif values.get("tool_choice") == "none":
        demands.discard("tools")
    return frozenset(demands)


def _value(name: str, raw: Raw) -> object:
    if len(raw) > _LONGEST_HARMLESS:
        return _LARGE
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        raise bad_request(
            "wrong_type", f"the field {name} holds a number out of range", name
        ) from None
