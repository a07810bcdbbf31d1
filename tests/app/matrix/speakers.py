"""How clients of each dialect ask, and by what they tell a whole answer from a broken one.

Each is judged by its own dialect's rules, read here from the bytes: by nothing of ours.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from tests.app.matrix.cells import Dialect
from tests.app.world import CHAT, HELLO
from tests.demo.raw import Reply

Json = dict[str, Any]

TOOL: Final[Json] = {"name": "weather"}
KINDS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Anthropic's types of errors, where they are not those of a wrong request."""


class Speaker(Struct, frozen=True):
    """What a client sends, beside its model, and how it reads what comes.

    `code` reads an error that was answered with a status; `streamed` and `plain` put the words of
    an answer together, or return None where it does not end as a whole one does; `broken` returns
    the code of the error that ended a stream, or None if that could be taken for whole.
    """

    path: str
    asking: Json
    streaming: Json
    tool: Json
    code: Callable[[Reply], str | None]
    streamed: Callable[[Reply], str | None]
    plain: Callable[[Json], str | None]
    broken: Callable[[Reply], str | None]


def _openai_error(reply: Reply) -> str | None:
    error = json.loads(reply.body)["error"]
    return str(error["code"]) if error.keys() >= {"message", "type", "param"} else None


# ---------------------------------------------------------------- chat completions


def _chunks(reply: Reply) -> list[Json]:
    blocks = reply.body.decode().split("\n\n")
    return [
        json.loads(block.removeprefix("data: ")) for block in blocks if block.startswith("data: {")
    ]


def _chat_streamed(reply: Reply) -> str | None:
    if not reply.body.endswith(b"data: [DONE]\n\n"):
        return None
    choices = [choice for chunk in _chunks(reply) for choice in chunk["choices"]]
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return "".join(_words(choice["delta"]) for choice in choices) if len(ends) == 1 else None


def _chat_plain(answer: Json) -> str | None:
    [choice] = answer["choices"]
    return _words(choice["message"]) if choice["finish_reason"] else None


def _words(part: Json) -> str:
    calls: list[Json] = part.get("tool_calls") or []
    spoken = part.get("content") or ""
    return spoken + "".join(call["function"].get("arguments", "") for call in calls)


def _chat_broken(reply: Reply) -> str | None:
    *chunks, last = _chunks(reply)
    begun = [choice for chunk in chunks for choice in chunk["choices"]]
    if not begun or any(choice["finish_reason"] for choice in begun) or "error" not in last:
        return None
    return None if b"[DONE]" in reply.body else str(last["error"]["code"])


# ---------------------------------------------------------------- events that have a name


def _events(reply: Reply) -> list[Json] | None:
    """Return a stream's events, None if one is called otherwise than it says."""
    told: list[Json] = []
    for block in filter(None, reply.body.decode().split("\n\n")):
        name, _, data = block.partition("\n")
        event = json.loads(data.removeprefix("data: "))
        if name != f"event: {event['type']}":
            return None
        told.append(event)
    return [event for event in told if event["type"] != "ping"]


# ---------------------------------------------------------------- Messages


def _messages_error(reply: Reply) -> str | None:
    told = json.loads(reply.body)
    kind = KINDS.get(reply.status, "invalid_request_error")
    shown = (told["type"], told["error"]["type"], told["request_id"])
    wanted = ("error", kind, reply.headers["request-id"])
    return str(told["error"]["code"]) if shown == wanted else None


def _messages_streamed(reply: Reply) -> str | None:
    events = _events(reply) or []
    if [event["type"] for event in events[-2:]] != ["message_delta", "message_stop"]:
        return None
    return _told(events[:-2]) if events[-2]["delta"]["stop_reason"] else None


def _told(events: list[Json]) -> str | None:
    """Put the words of blocks together, None where they break the grammar."""
    if not events or events[0]["type"] != "message_start":
        return None
    words, opened, count = "", None, 0
    for event in events[1:]:
        at = event.get("index")
        match event["type"]:
            case "content_block_start" if opened is None and at == count:
                opened, count = at, count + 1
                words += event["content_block"].get("text", "")
            case "content_block_delta" if opened is not None and at == opened:
                words += event["delta"].get("text") or event["delta"].get("partial_json") or ""
            case "content_block_stop" if opened is not None and at == opened:
                opened = None
            case _:
                return None
    return words if opened is None else None


def _messages_plain(answer: Json) -> str | None:
    said = (
        json.dumps(block["input"]) if block["type"] == "tool_use" else block["text"]
        for block in answer["content"]
    )
    return "".join(said) if answer["stop_reason"] else None


def _messages_broken(reply: Reply) -> str | None:
    *events, last = _events(reply) or [{"type": "none"}]
    kinds = {event["type"] for event in events}
    ended = kinds & {"message_delta", "message_stop", "error"}
    if ended or "content_block_start" not in kinds or last["type"] != "error":
        return None
    return str(last["error"]["code"])


# ---------------------------------------------------------------- Responses


def _numbered(reply: Reply) -> list[Json]:
    """Return a stream's events if they begin, and are numbered, as they must."""
    events = _events(reply) or []
    numbers = [event["sequence_number"] for event in events]
    opening = [event["type"] for event in events[:2]]
    opened = opening == ["response.created", "response.in_progress"]
    return events if opened and numbers == list(range(len(events))) else []


def _responses_streamed(reply: Reply) -> str | None:
    events = _numbered(reply)
    if not events or events[-1]["type"] != "response.completed":
        return None
    adding = ("response.output_text.delta", "response.function_call_arguments.delta")
    said = "".join(event["delta"] for event in events if event["type"] in adding)
    return said if _responses_plain(events[-1]["response"]) == said else None


def _responses_plain(answer: Json) -> str | None:
    said = "".join(
        item["arguments"]
        if item["type"] == "function_call"
        else "".join(part["text"] for part in item["content"])
        for item in answer["output"]
    )
    return said if answer["status"] == "completed" and answer["error"] is None else None


def _responses_broken(reply: Reply) -> str | None:
    *events, last = _numbered(reply) or [{"type": "none"}]
    kinds = {event["type"] for event in events}
    ended = kinds & {"response.completed", "response.incomplete", "response.failed"}
    begun = "response.output_item.added" in kinds
    if ended or not begun or last["type"] != "response.failed":
        return None
    failed = last["response"]
    return str(failed["error"]["code"]) if failed["status"] == "failed" else None


# ---------------------------------------------------------------- Ollama


def _ollama_error(reply: Reply) -> str | None:
    told = json.loads(reply.body)
    return str(told["code"]) if isinstance(told["error"], str) else None


def _lines(reply: Reply) -> list[Json]:
    return [json.loads(line) for line in reply.body.decode().splitlines()]


def _ollama_streamed(reply: Reply) -> str | None:
    *lines, last = _lines(reply)
    if any(line["done"] for line in lines) or _ollama_plain(last) is None:
        return None
    return "".join(_of_ollama(line["message"]) for line in (*lines, last))


def _ollama_plain(answer: Json) -> str | None:
    is_whole = answer["done"] and answer["done_reason"]
    return _of_ollama(answer["message"]) if is_whole else None


def _of_ollama(message: Json) -> str:
    calls: list[Json] = message.get("tool_calls") or []
    arguments = (json.dumps(call["function"]["arguments"]) for call in calls)
    return message["content"] + "".join(arguments)


def _ollama_broken(reply: Reply) -> str | None:
    *lines, last = _lines(reply)
    if any(line["done"] for line in lines) or not any(line["message"]["content"] for line in lines):
        return None
    return str(last["code"]) if last.keys() == {"error", "code"} else None


SPEAKERS: Final[Mapping[Dialect, Speaker]] = {
    "chat": Speaker(
        CHAT,
        {"messages": HELLO},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"type": "function", "function": TOOL},
        _openai_error,
        _chat_streamed,
        _chat_plain,
        _chat_broken,
    ),
    "messages": Speaker(
        "/v1/messages",
        {"messages": HELLO, "max_tokens": 1000},
        {"stream": True},
        TOOL | {"input_schema": {"type": "object"}},
        _messages_error,
        _messages_streamed,
        _messages_plain,
        _messages_broken,
    ),
    "responses": Speaker(
        "/v1/responses",
        {"input": "Hello"},
        {"stream": True},
        TOOL | {"type": "function"},
        _openai_error,
        _responses_streamed,
        _responses_plain,
        _responses_broken,
    ),
    "ollama": Speaker(
        "/api/chat",
        {"messages": HELLO, "stream": False},
        {"stream": True},
        {"type": "function", "function": TOOL},
        _ollama_error,
        _ollama_streamed,
        _ollama_plain,
        _ollama_broken,
    ),
}
