"""A request in another dialect than OpenAI's, put into OpenAI's shape: what they all have of it."""

from collections.abc import Iterable, Mapping
from typing import Final, NotRequired, TypedDict, cast

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.body import PREFILL, demands_of
from exo_supervisor.wire.chat.request import ChatRequest, Fields
from exo_supervisor.wire.exo.hazards import read_hazards

_MOST_DEMANDS: Final = 64
"""Demands that only the client's dialect can say, of those that are named."""


class Message(TypedDict):
    """What is read of a message in OpenAI's shape."""

    role: str
    content: object


class Told(TypedDict):
    """What is read of a request in OpenAI's shape; it has other fields, too."""

    model: str
    stream: bool
    messages: list[Message]
    stop: NotRequired[tuple[str, ...]]


def translated(
    body: bytes, native: Fields, said: Mapping[str, object],
    *, dialect: str, limit: int | None, only_ours: Iterable[str] = (), prefills: bool = False,
    headers: tuple[tuple[str, str], ...] = (),
) -> ChatRequest:  # fmt: skip
    """Make a request of what was `said` in OpenAI's words, and of its own fields.

    `only_ours` is what can be demanded in the client's dialect alone; where the last message is the
    assistant's, one that `prefills` demands that it be gone on with.
    """
    told = cast("Told", said)
    messages = told["messages"]
    fields = as_fields(said)
    demands = frozenset(sorted(only_ours)[:_MOST_DEMANDS])
    prefill = {PREFILL} if prefills and messages[-1]["role"] == "assistant" else set[str]()
    contents = (each["role"] != "assistant" and each["content"] != "" for each in messages)
    return ChatRequest(
        model=told["model"],
        stream=told["stream"],
        include_usage=True,
        demands=demands_of(fields) | demands | prefill,
        hazards=read_hazards(body, fields, contents),
        max_tokens=limit,
        stop=told.get("stop", ()),
        n=None,
        fields=fields,
        dialect=dialect,
        native=native,
        headers=headers,
        native_demands=demands,
    )


def as_fields(told: Mapping[str, object]) -> Fields:
    """Write each value as JSON."""
    return {name: Raw(msgspec.json.encode(value)) for name, value in told.items()}
