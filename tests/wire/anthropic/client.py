"""A client of Messages as the judge of what it gets: the anthropic SDK's own types and rules."""

import json
from typing import Any

# What the SDK itself does with the events of a stream; it has no public name.
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from exo_supervisor.wire.anthropic.answer_writer import AnswerWriter
from exo_supervisor.wire.anthropic.events import Events
from exo_supervisor.wire.anthropic.stream_writer import StreamWriter

Json = dict[str, Any]
_event = TypeAdapter[RawMessageStreamEvent](RawMessageStreamEvent)


def stream_writer(*, joined: bool = False, mark: bytes = b"", **more: Any) -> StreamWriter:  # noqa: ANN401 - handed on
    return StreamWriter(events=Events(name="r1", model="m", joined=joined, mark=mark), **more)


def answer_writer(**more: Any) -> AnswerWriter:  # noqa: ANN401 - handed on
    return AnswerWriter(events=Events(name="r1", model="m"), **more)


def events(stream: bytes) -> list[Json]:
    """Read a stream as the SDK does: an event without its `event:` line is dropped."""
    found: list[Json] = []
    for lines in stream.decode().split("\n\n"):
        kind, _, data = lines.partition("\n")
        if kind.startswith("event: ") and kind != "event: ping":
            found.append(json.loads(data.removeprefix("data: ")))
            assert found[-1]["type"] == kind.removeprefix("event: ")
    return found


def whole(stream: bytes) -> Json:
    """Put a stream together as the SDK does, and check its grammar."""
    told = events(stream)
    check_grammar(told)
    message, bufs = None, dict[int, bytes]()
    for event in told:
        read = _event.validate_python(event)
        message = accumulate_event(event=read, current_snapshot=message, json_bufs=bufs)  # pyright: ignore[reportUnknownVariableType]
    assert message is not None
    return judged(message.to_dict())


def judged(message: Json) -> Json:
    """Return a message that the SDK's own type takes for one."""
    Message.model_validate(message, strict=False)
    return message


def check_grammar(told: list[Json]) -> None:
    """Raise AssertionError where blocks overlap, or an event stands where it may not."""
    kinds = [event["type"] for event in told]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    is_open, after = None, 0
    for event in told[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert is_open is None
                assert event["index"] == after
                is_open, after = after, after + 1
            case "content_block_delta":
                assert event["index"] == is_open
            case kind:
                assert (kind, event["index"]) == ("content_block_stop", is_open)
                is_open = None
    assert is_open is None
