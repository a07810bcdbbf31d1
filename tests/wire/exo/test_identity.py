"""Exo's fingerprint, cards, and what it is asked."""

import json
from pathlib import Path

import pytest

from exo_supervisor.core.names import ModelId, NodeId
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.identity import (
    Card,
    HttpAnswer,
    Identity,
    encode_chat,
    identify,
    read_cards,
    read_node_id,
    why_not,
)
from exo_supervisor.wire.exo.traits import PEERS, TRAITS
from exo_supervisor.wire.openai.inbound import read_chat

RECORDINGS = Path(__file__).parents[2] / "recordings"
PEER = "12D3KooWMd6PiVf3yFGt9pBGfY9Fzh1TBCuC19pgsXT2kCD5fVuR"
ZENOH = "ab6b51a926ab774c873d4ee9cb367a65"
GONE = HttpAnswer(404, b'{"detail":"Not Found"}')
TOOLS = [{"type": "function"}]
MESSAGES = [{"role": "user", "content": "hello", "odd": None}]


def reply(name: str) -> HttpAnswer:
    head, _, body = (RECORDINGS / name).read_bytes().partition(b"\r\n\r\n")
    chunked = b"chunked" in head
    return HttpAnswer(int(head.split()[1]), b"" if chunked else body)


def test_recorded_nodes_are_identified() -> None:
    b = [reply(f"gen-b/solo/get-{x}.response.http") for x in ("node-id", "feature-flags")]
    assert identify(b[0], b[1], None) == Identity("B", NodeId(PEER), "<= 1.0.71")
    c = [reply(f"gen-c/solo/get-{x}.response.http") for x in ("node-id", "feature-flags")]
    assert identify(c[0], c[1], None) == Identity("C", NodeId(ZENOH), "> 1.0.71")
    a = [reply(f"gen-a/solo/get-{x}.response.http") for x in ("not-found", "healthcheck")]
    assert identify(a[0], None, a[1]) == Identity("A", None, "<= 0.0.15")


def test_the_later_line_over_libp2p_is_b() -> None:
    node_id = HttpAnswer(200, f'"{PEER}"'.encode())
    assert identify(node_id, HttpAnswer(200, b"{}"), None) == Identity(
        "B", NodeId(PEER), "> 1.0.71"
    )
    assert identify(node_id, None, None) == Identity("B", NodeId(PEER), None)
    assert identify(node_id, HttpAnswer(500, b""), None) == Identity("B", NodeId(PEER), None)


@pytest.mark.parametrize(
    ("node_id", "health", "why"),
    [
        (None, None, "nothing answered at /node_id"),
        (HttpAnswer(200, b"{}"), None, "its /node_id is no id"),
        (HttpAnswer(200, b'"hello there"'), None, "its /node_id is no id"),
        (HttpAnswer(404, b""), None, "nothing answered at /healthcheck"),
        (HttpAnswer(404, b""), HttpAnswer(200, b"[]"), "status 404"),
        (HttpAnswer(404, b""), HttpAnswer(200, b'{"status":"ill"}'), "status 404"),
        (GONE, HttpAnswer(200, b'{"status":"ok"}'), "status 404"),
        (HttpAnswer(500, b""), HttpAnswer(200, b'{"status":"ok"}'), "status 500"),
    ],
)
def test_what_is_no_exo_is_told_apart(
    node_id: HttpAnswer | None, health: HttpAnswer | None, why: str
) -> None:
    assert identify(node_id, None, health) is None
    assert why in why_not(node_id, health)


@pytest.mark.parametrize("body", [b"", b"5", b'""', b'"' + b"a" * 33 + b'"', b'"a b"', b'"\xff"'])
def test_a_node_id_is_a_peer_id_or_a_hexadecimal_number(body: bytes) -> None:
    assert read_node_id(body) is None


def test_cards_of_every_version_are_read() -> None:
    cards = b'{"data":[{"id":"a/b","context_length":8,"capabilities":["text"]},'
    cards += b'{"id":"s","hugging_face_id":"x/s","y":1}]}'
    assert read_cards(cards) == (
        Card(ModelId("a/b"), None, ("text",)),
        Card(ModelId("s"), ModelId("x/s")),
    )
    with pytest.raises(WireError):
        read_cards(b"[]")


def sent(**more: object) -> dict[str, object]:
    request = read_chat(json.dumps({"model": "m", "messages": MESSAGES} | more).encode())
    return json.loads(encode_chat(request, Ask("local/x", TRAITS["C"])))


def test_exo_is_always_asked_to_stream_its_own_model() -> None:
    assert sent(stream=False, stream_options={"include_usage": True}, temperature=0.5) == {
        "model": "local/x",
        "messages": MESSAGES,
        "stream": True,
        "temperature": 0.5,
    }


def test_the_newer_name_of_the_limit_becomes_the_older() -> None:
    assert sent(max_completion_tokens=3, max_tokens=9)["max_tokens"] == 3
    assert sent(max_completion_tokens=None, max_tokens=9)["max_tokens"] == 9
    assert "max_completion_tokens" not in sent(max_completion_tokens=3)
    assert "max_tokens" not in sent(max_completion_tokens=None)


def test_no_tool_wanted_means_no_tool_sent() -> None:
    assert "tools" not in sent(tools=TOOLS, tool_choice="none")
    assert "tool_choice" not in sent(tool_choice="none")
    assert sent(tools=TOOLS, tool_choice="auto")["tools"] == TOOLS


def test_a_ignores_all_that_the_later_lines_ignore() -> None:
    assert PEERS["B"].ignored == PEERS["C"].ignored < PEERS["A"].ignored
