"""A system message in mid-conversation stays in its place, whoever the client is."""

import json
from typing import Any

import pytest
from msgspec import Raw

from exo_supervisor.wire.exo.conversation import in_place
from tests.wire.work import bytes_returned

Json = dict[str, Any]


def message(role: str, content: object) -> Json:
    return {"role": role, "content": content}


def placed(*messages: Json) -> list[Json]:
    """Place them; clients write with blanks between the tokens, and without."""
    ways = (json.dumps(messages, separators=way).encode() for way in ((", ", ": "), (",", ":")))
    told, tight = (json.loads(bytes(in_place(Raw(way)))) for way in ways)
    assert told == tight
    return told


def reminder(text: str) -> str:
    return f"<system-reminder>\n{text}\n</system-reminder>"


U, A, S = message("user", "u"), message("assistant", "a"), message("system", "s")


@pytest.mark.parametrize(
    "messages",
    [[U], [S, U, A, U], [S, message("developer", "d"), U], [S], [message("user", '"system"')]],
)
def test_a_conversation_whose_system_stands_at_the_front_is_as_it_came(
    messages: list[Json],
) -> None:
    raw = Raw(json.dumps(messages, indent=1).encode())
    assert in_place(raw) is raw


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([S, U, S], [S, message("user", f"u\n\n{reminder('s')}")]),
        ([U, S, message("developer", "d"), A],
         [message("user", f"u\n\n{reminder('s')}\n\n{reminder('d')}"), A]),
        ([U, A, S, U], [U, A, message("user", f"{reminder('s')}\n\nu")]),
        ([U, A, S], [U, A, message("user", reminder("s"))]),
        ([U, A, S, S, A], [U, A, message("user", f"{reminder('s')}\n\n{reminder('s')}"), A]),
        ([message("user", []), S], [message("user", [{"type": "text", "text": reminder("s")}])]),
        ([message("user", [{"type": "image_url"}]), S],
         [message("user", [{"type": "image_url"}, {"type": "text", "text": reminder("s")}])]),
        ([U, A, S, message("user", [{"x": 1}])],
         [U, A, message("user", [{"type": "text", "text": reminder("s")}, {"x": 1}])]),
        ([message("user", {"x": 1}), message("system", {"type": "text", "text": "s"})],
         [message("user", [{"x": 1}, {"type": "text", "text": reminder("s")}])]),
        ([message("user", None), S], [message("user", reminder("s"))]),
        ([U, message("system", [{"type": "text", "text": "a"}, {"text": "b"}, 3])],
         [message("user", f"u\n\n{reminder(chr(10).join(['a', '', 'b']))}")]),
        ([{"role": "assistant"}, {"role": "system"}, U],
         [{"role": "assistant"}, message("user", f"{reminder('')}\n\nu")]),
    ],
)  # fmt: skip
def test_one_in_between_becomes_a_text_of_the_user_beside_it(
    messages: list[Json], expected: list[Json]
) -> None:
    assert placed(*messages) == expected


def test_a_long_text_of_the_user_is_kept_whole() -> None:
    long = "x" * (1 << 20)
    assert placed(message("user", long), S)[0]["content"].startswith(long)


def test_each_one_behind_a_list_of_parts_is_a_part_of_its_own() -> None:
    parts = [{"type": "text", "text": each} for each in ("u", reminder("s"), reminder("s"))]
    assert placed(message("user", parts[:1]), S, S) == [message("user", parts)]


@pytest.mark.parametrize("content", ["u" * 50, [{"type": "text", "text": "u" * 50}]])
def test_twice_as_many_behind_a_message_are_twice_the_work(content: str | list[Json]) -> None:
    def work(count: int) -> int:
        raw = Raw(json.dumps([message("user", content * count), *([S] * count)]).encode())
        return bytes_returned(lambda: in_place(raw))

    assert 1.5 < work(400) / work(200) < 2.5
