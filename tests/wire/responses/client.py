"""A client of the Responses API as the judge of what it gets: the SDK's own types and rules."""

import json
from typing import Any

from msgspec import Raw, structs

# What the SDK itself does with the events of a stream; it has no public name.
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.responses.writer import ResponseWriter, write_body, write_stream
from tests.wire.requests import a_chat, a_reply

Json = dict[str, Any]
ENDS = {"response.completed": "completed", "response.incomplete": "incomplete"}
_event = TypeAdapter[Any](ResponseStreamEvent)


def reply_to(*tools: Json) -> Reply:
    """Tell a writer of a request with these tools."""
    native = {"tools": Raw(json.dumps(tools).encode())}
    return a_reply(structs.replace(a_chat(), dialect="responses", native=native))


def stream_writer(*tools: Json) -> ResponseWriter:
    return write_stream(reply_to(*tools))


def answer_writer(*tools: Json) -> ResponseWriter:
    return write_body(reply_to(*tools))


def events(stream: bytes) -> list[Json]:
    """Decode events, each of which is named twice alike and has the next number."""
    found: list[Json] = []
    for one in stream.decode().split("\n\n"):
        if one and not one.startswith(":"):
            name, data = one.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    assert [each["sequence_number"] for each in found] == list(range(len(found)))
    return found


def whole(stream: bytes) -> Json:
    """Put a stream together as the SDK does, check its grammar, and return the response."""
    told = events(stream)
    check_grammar(told)
    state = ResponseStreamState[Any](input_tools=omit, text_format=omit)
    for event in told:
        state.handle_event(_event.validate_python(event))
    response = told[-1]["response"]
    assert response["status"] == ENDS[told[-1]["type"]]
    return judged(response)


def judged(response: Json) -> Json:
    """Return a response that the SDK's own type takes for one."""
    Response.model_validate(response, strict=False)
    return response


def check_grammar(told: list[Json]) -> None:
    """Raise AssertionError where an event stands where it may not, or ends tell other words."""
    kinds = [event["type"] for event in told]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ENDS
    items: dict[int, Json] = {}
    texts: dict[tuple[int, int], str] = {}
    done: dict[int, Json] = {}
    for event in told[2:-1]:
        place = event["output_index"]
        at = (place, event.get("content_index", 0))
        match event["type"].split(".")[1:]:
            case ["output_item", "added"]:
                assert place == len(items)
                items[place] = event["item"]
                assert event["item"]["status"] == "in_progress"
            case ["output_item", "done"]:
                assert place not in done
                done[place] = event["item"]
            case ["content_part", _]:
                assert event["item_id"] == items[place]["id"]
            case [_, "delta"]:
                assert event["item_id"] == items[place]["id"]
                assert place not in done
                texts[at] = texts.get(at, "") + event["delta"]
            case [_, "done"]:
                text = next(
                    event[k] for k in ("text", "refusal", "arguments", "input") if k in event
                )
                assert text == texts[at]
            case other:
                raise AssertionError(other)
    output = told[-1]["response"]["output"]
    assert [item["id"] for item in output] == [item["id"] for item in items.values()]
    for place, item in enumerate(output):
        assert done.get(place, item) == item
        assert place in done or kinds[-1] == "response.incomplete"
        for index, part in enumerate(item.get("content", ())):
            assert (
                part[part["type"] if part["type"] == "refusal" else "text"] == texts[place, index]
            )
