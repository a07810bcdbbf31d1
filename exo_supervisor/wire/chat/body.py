"""Reading a request's body: what the dialects of all clients have in common.

Each function raises BadRequestError, whose text holds no value of the body.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from exo_supervisor.core.outcomes import BadRequestError, Refusal, bad_request
from exo_supervisor.wire.bounds import MAX_CHAT_VALUES, MAX_NAME_CHARS, has_few_values
from exo_supervisor.wire.chat.request import Fields
from exo_supervisor.wire.untrusted_json import check_utf8

Known = TypeVar("Known")

_HARMLESS: Final[dict[str, tuple[object, ...]]] = {
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

_TELLING: Final = frozenset(_HARMLESS)

PREFILL: Final = "prefill"
"""The demand to go on with a last message of the assistant."""
ANY_JSON: Final = "response_format=json_object"
"""The demand for JSON without a schema, which is one beside that for a form of the answer."""

NO_TOOLS: Final = "it asks for a call of a tool, and there is no tool"

_NO_DEMANDS = frozenset[str]()
_LONGEST_HARMLESS = 256
_LARGE = object()
"""Stands for a value that is too long to be harmless; nothing equals it."""

_PLAIN_VALUE = r"[a-z0-9_]{1,64}"
_MOST_STOPS = 64
_MOST_STOP_CHARS = 4096
_MOST_STOP_BYTES = 64 * 1024
"""More than the allowed stop texts can take as JSON, twelve bytes a character."""

_fields = msgspec.json.Decoder(Fields)


def read_fields(body: bytes) -> Fields:
    """Return every top-level field as it came; the whole body is checked, raw parts included."""
    if not has_few_values(body):
        text = f"the body holds more than {MAX_CHAT_VALUES} values"
        raise BadRequestError(Refusal(413, "body_too_large", text))
    try:
        check_utf8(body)
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


def read_as(decoder: msgspec.json.Decoder[Known], body: bytes | Raw, *, under: str = "") -> Known:
    """Read JSON whose fields have the types that we know; `under` is where in the body it stands.

    It was a part of what `read_fields` read, so that only types can be wrong.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        wanted, _, path = str(error).partition(" - at `$")
        path = (under + path.rstrip("`")).lstrip(".")
        name = re.split(r"[.\[]", path)[0]
        reason = wanted[:1].lower() + wanted[1:]
        raise bad_request(
            "wrong_type", f"the field {path} has the wrong type: {reason}", name
        ) from None


def missing(name: str) -> BadRequestError:
    """Return the error of a field that has to be there."""
    return bad_request("missing_field", f"the field {name} is missing", name)


def wrong(path: str, why: str) -> BadRequestError:
    """Return the error of a field at a path in the body that has a value it cannot have."""
    name = re.split(r"[.\[]", path)[0]
    return bad_request("wrong_type", f"the field {path} is wrong: {why}", name)


def named(field: str, value: str) -> str:
    """Name a demand by a value of the client's, unless that is not fit to be shown."""
    return f"{field}={value}" if re.fullmatch(_PLAIN_VALUE, value) else field


def check_model(model: str | None) -> str:
    """Return the name of a model that may be looked up."""
    if model is None:
        raise missing("model")
    if not model:
        raise bad_request("wrong_type", "the field model is empty", "model")
    if len(model) > MAX_NAME_CHARS:
        text = f"the field model has more than {MAX_NAME_CHARS} characters"
        raise bad_request("wrong_type", text, "model")
    return model


def check_messages(messages: Sequence[Known] | None) -> Sequence[Known]:
    """Return the messages, at least one."""
    if messages is None:
        raise missing("messages")
    if not messages:
        text = "the list messages is empty; it needs one message"
        raise bad_request("empty_messages", text, "messages")
    return messages


def check_limit(limit: int | None) -> int | None:
    """Return the most tokens of an answer; none at all are not asked for.

    Exo takes 0 for no limit, and would generate 32168 tokens.
    """
    if limit == 0:
        text = "the field max_tokens is 0; leave it out, or ask for one at least"
        raise bad_request("wrong_type", text, "max_tokens")
    return limit


def check_stop_size(fields: Fields, name: str = "stop") -> None:
    """Refuse stop texts that would take long to decode."""
    if name in fields and len(fields[name]) > _MOST_STOP_BYTES:
        raise _too_much_stop(name)


def check_stop(stop: str | list[str] | None, name: str = "stop") -> tuple[str, ...]:
    """Return the stop texts, of which an empty one is none."""
    if not stop:
        return ()
    texts = [stop] if isinstance(stop, str) else stop
    if len(texts) > _MOST_STOPS or sum(map(len, texts)) > _MOST_STOP_CHARS:
        raise _too_much_stop(name)
    return tuple(text for text in texts if text)


def _too_much_stop(name: str) -> BadRequestError:
    bound = f"{_MOST_STOPS} texts of {_MOST_STOP_CHARS} characters in all"
    return bad_request("wrong_type", f"the field {name} holds more than {bound}", name)


def demands_of(fields: Fields) -> frozenset[str]:
    """Name the fields of OpenAI's shape that change the answer and that some target ignores."""
    if _TELLING.isdisjoint(fields):
        return _NO_DEMANDS
    present = [name for name in _HARMLESS if name in fields]
    values = {name: _value(name, fields[name]) for name in present}
    demands = {name for name in present if values[name] not in _HARMLESS[name]}
    if "tools" not in demands:  # a call that has to be is none that can be, and is refused so
        demands.discard("parallel_tool_calls")
    elif values.get("tool_choice") == "none":
        demands.discard("tools")
    if values.get("response_format") == {"type": "json_object"}:
        demands.add(ANY_JSON)
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
