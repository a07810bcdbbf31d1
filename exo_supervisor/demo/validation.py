"""The 422 answers of generations B and C, whose bodies pydantic writes."""

import json
from typing import Any, cast

from exo_supervisor.demo.answers import JsonObject

ROLES = ("system", "user", "assistant", "developer", "tool", "function")
SHARDINGS = ("Tensor", "Pipeline")
_NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"


class InvalidBodyError(Exception):
    """The body breaks the schema; `problem` is the one item of `detail`."""

    def __init__(self, problem: JsonObject) -> None:
        super().__init__()
        self.problem = problem


def decoded(body: bytes, content_type: str) -> JsonObject:
    """Return the JSON object in `body`; raises InvalidBodyError as FastAPI would answer 422."""
    if not body:
        raise _problem("missing", [], "Field required", None)
    if content_type != "application/json":
        raise _problem("model_attributes_type", [], _NOT_AN_OBJECT, body.decode(errors="replace"))
    try:
        value: Any = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        at = getattr(error, "pos", 0)
        why = {"error": getattr(error, "msg", "not JSON")}
        raise _problem("json_invalid", [at], "JSON decode error", {}, ctx=why) from error
    if not isinstance(value, dict):
        raise _problem("model_attributes_type", [], _NOT_AN_OBJECT, value)
    return cast("JsonObject", value)


def check_chat(body: JsonObject) -> None:
    """Raise InvalidBodyError if a chat request breaks the schema."""
    for name in ("model", "messages"):
        if name not in body:
            raise _problem("missing", [name], "Field required", body)
    if not isinstance(body["model"], str):
        raise _problem("string_type", ["model"], "Input should be a valid string", body["model"])
    messages: Any = body["messages"]
    if not isinstance(messages, list):
        raise _problem("list_type", ["messages"], "Input should be a valid list", messages)
    for at, message in enumerate(cast("list[Any]", messages)):
        _check_message(at, message)
    for name, kinds, kind, wanted in _SCALARS:
        value = body.get(name)
        if value is not None and not isinstance(value, kinds):
            raise _problem(kind, [name], f"Input should be a valid {wanted}", value)


_SCALARS: tuple[tuple[str, tuple[type, ...], str, str], ...] = (
    ("stream", (bool, int), "bool_parsing", "boolean, unable to interpret input"),
    ("max_tokens", (int,), "int_parsing", "integer, unable to parse string as an integer"),
    ("temperature", (int, float), "float_parsing", "number, unable to parse string as a number"),
)


def _check_message(at: int, message: Any) -> None:  # noqa: ANN401 - it is what is checked
    where = ["messages", at]
    if not isinstance(message, dict):
        raise _problem("model_attributes_type", where, _NOT_AN_OBJECT, message)
    role = cast("JsonObject", message).get("role")
    if role not in ROLES:
        *most, last = (f"'{name}'" for name in ROLES)
        allowed = f"{', '.join(most)} or {last}"
        words, why = f"Input should be {allowed}", {"expected": allowed}
        raise _problem("literal_error", [*where, "role"], words, role, ctx=why)


def check_placement(body: JsonObject) -> None:
    """Raise InvalidBodyError if a placement request breaks the schema."""
    if "model_id" not in body:
        raise _problem("missing", ["model_id"], "Field required", body)
    if body.get("sharding", "Pipeline") not in SHARDINGS:
        allowed = "'Tensor' or 'Pipeline'"
        words, why = f"Input should be {allowed}", {"expected": allowed}
        raise _problem("enum", ["sharding"], words, body["sharding"], ctx=why)


def _problem(
    kind: str,
    where: list[str | int],
    words: str,
    value: Any,  # noqa: ANN401 - the wrong input is quoted, whatever it is
    *,
    ctx: JsonObject | None = None,
) -> InvalidBodyError:
    problem: JsonObject = {"type": kind, "loc": ["body", *where], "msg": words, "input": value}
    return InvalidBodyError(problem | ({"ctx": ctx} if ctx else {}))
