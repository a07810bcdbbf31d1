"""Exo's side of the dialect: which generation answers, and what it is asked."""

import re
from http import HTTPStatus

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.names import Generation, ModelId, NodeId
from exo_supervisor.wire.bounds import at_most, read_part
from exo_supervisor.wire.capabilities import capability_words
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import TRUE, Ask, ChatRequest, Kind
from exo_supervisor.wire.exo.conversation import in_place
from exo_supervisor.wire.exo.hazards import harmful_samplers
from exo_supervisor.wire.untrusted_json import UNREADABLE

_MOST_EFFORT, _EXO_MOST_EFFORT = Raw(b'"max"'), Raw(b'"xhigh"')

MAX_CARDS = 4_000
"""Ids of model cards in one list, two a card."""

_PEER_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}")
_ZENOH_ID = re.compile(r"[0-9a-f]{1,32}")


class HttpAnswer(Struct, frozen=True):
    """What a node or a provider answered, whatever its status."""

    status: int
    body: bytes


class Identity(Struct, frozen=True):
    """Which Exo answers; `version` is a bound, since no generation tells its version."""

    generation: Generation
    node_id: NodeId | None
    version: str | None = None


class Card(Struct, frozen=True):
    """A model that Exo knows of, whether or not it is placed."""

    id: ModelId
    alias: ModelId | None = None
    capabilities: tuple[str, ...] = ()


class _Card(Struct):
    id: str
    hugging_face_id: str | None = None
    capabilities: object = None


class _Cards(Struct):
    data: list[_Card]


class _Health(Struct):
    status: str


_string = msgspec.json.Decoder(str)
_health = msgspec.json.Decoder(_Health)
_cards = msgspec.json.Decoder(_Cards)
_messages = msgspec.json.Decoder(list[dict[str, Raw]])


def read_node_id(body: bytes) -> NodeId | None:
    """Read the answer of `GET /node_id`, a bare JSON string, or None for anything else."""
    try:
        text = _string.decode(body)
    except UNREADABLE:
        return None
    if _ZENOH_ID.fullmatch(text) or _PEER_ID.fullmatch(text):
        return NodeId(text)
    return None


def identify(
    node_id: HttpAnswer | None, flags: HttpAnswer | None, healthcheck: HttpAnswer | None
) -> Identity | None:
    """Tell the generation from `/node_id`, `/v1/feature-flags` and `/healthcheck`.

    None stands for a GET that got no answer or was not sent.
    """
    if node_id is None:
        return None
    if node_id.status == HTTPStatus.OK:
        known = read_node_id(node_id.body)
        if known is None:
            return None
        if _ZENOH_ID.fullmatch(known):
            return Identity("C", known, "> 1.0.71")
        return Identity("B", known, _version_of_b(flags))
    if node_id.status == HTTPStatus.NOT_FOUND and not node_id.body and _healthy(healthcheck):
        return Identity("A", None, "<= 0.0.15")
    return None


def _version_of_b(flags: HttpAnswer | None) -> str | None:
    if flags is None or flags.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
        return None
    return "> 1.0.71" if flags.status == HTTPStatus.OK else "<= 1.0.71"


def _healthy(reply: HttpAnswer | None) -> bool:
    try:
        return reply is not None and _health.decode(reply.body).status == "ok"
    except UNREADABLE:
        return False


def why_not(node_id: HttpAnswer | None, healthcheck: HttpAnswer | None) -> str:
    """Say what was found where `identify` found no Exo; repeats nothing that was received."""
    if node_id is None:
        return "nothing answered at /node_id"
    if node_id.status == HTTPStatus.OK:
        return "something else than exo answers: its /node_id is no id of an exo node"
    if node_id.status == HTTPStatus.NOT_FOUND and healthcheck is None:
        return "no /node_id there, and nothing answered at /healthcheck"
    return f"something else than exo answers: status {node_id.status} at /node_id"


def read_cards(body: bytes) -> tuple[Card, ...]:
    """Read `GET /v1/models` of B and C: everything Exo has a card of; raises WireError.

    Versions 1.0.60 to 1.0.63 have a short id and take both it and the Hugging Face id.
    """
    cards = read_part(_cards, body, "a list of exo's model cards").data
    at_most(MAX_CARDS, (name for card in cards for name in (card.id, card.hugging_face_id or "")))
    return tuple(
        Card(
            id=ModelId(card.id),
            alias=ModelId(card.hugging_face_id) if card.hugging_face_id else None,
            capabilities=capability_words(card.capabilities),
        )
        for card in cards
    )


def chat_url(base: str, _kind: Kind) -> str:
    """Return where a node takes chats, which is all that it is asked for."""
    return f"{base}/v1/chat/completions"


def encode_chat(request: ChatRequest, ask: Ask) -> bytes:
    """Write the request for Exo, always streamed; every field not named here is as it came.

    A system message stays in its place, as `conversation` argues. Exo knows no effort beyond
    `xhigh`. It drops `max_completion_tokens`, which B and C would answer with up to 32168 tokens,
    and it does not read `tool_choice`, so that "none" becomes a request without tools. A answers a
    message without content, as beside calls of tools, with a 500.
    """
    fields = request.fields.copy()
    fields["model"] = ask.named()
    fields["stream"] = TRUE
    fields.pop("stream_options", None)
    limit = fields.pop("max_completion_tokens", None)
    if limit is not None and request.max_tokens is not None:
        fields["max_tokens"] = Raw(msgspec.json.encode(request.max_tokens))
    if "tool_choice" in fields and msgspec.json.decode(fields["tool_choice"]) == "none":
        fields.pop("tools", None)
        del fields["tool_choice"]
    for name in harmful_samplers(fields):
        del fields[name]
    if fields.get("reasoning_effort") == _MOST_EFFORT:
        fields["reasoning_effort"] = _EXO_MOST_EFFORT
    fields["messages"] = in_place(fields["messages"])
    if ask.traits.needs_content:
        fields["messages"] = _with_contents(fields["messages"])
    return msgspec.json.encode(fields)


def _with_contents(messages: Raw) -> Raw:
    """Give each message that has no content an empty one; the others stay as they came."""
    told = _messages.decode(messages)
    if all(message.get("content", NULL) != NULL for message in told):
        return messages
    return Raw(msgspec.json.encode([{"content": "", **_without_null(each)} for each in told]))


def _without_null(message: dict[str, Raw]) -> dict[str, Raw]:
    return {name: raw for name, raw in message.items() if name != "content" or raw != NULL}
