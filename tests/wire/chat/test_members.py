"""A member of a client's body that nobody has a word for is named, wherever it stands."""

import json
from typing import Any

import msgspec
import pytest

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.chat.members import Members, MembersDecoder


class Part(Members):
    harmless = frozenset({"cache"})
    types = frozenset({"text"})

    text: str = ""
    type: str = "text"


class Body(Members):
    model: str
    parts: list[Part] | None = None
    first: Part | None = None


def read(under: str = "", **body: Any) -> tuple[Body, list[str]]:  # noqa: ANN401 - any JSON
    decoder = MembersDecoder(msgspec.json.Decoder(Body))
    return decoder.read(json.dumps({"model": "m", **body}).encode(), under=under)


KNOWN: dict[str, Any] = {"first": {"text": "a", "cache": 1}, "parts": [{"text": "b"}]}


def test_what_is_known_is_read_and_nothing_beside_it_is_named() -> None:
    found, unknown = read(**KNOWN)
    parts = [found.first, *(found.parts or ())]
    assert [part and part.text for part in parts] == ["a", "b"]
    assert (found.model, unknown) == ("m", [])


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ({"odd": 1}, ["odd"]),
        ({"first": {"odd": 1}}, ["first.odd"]),
        ({"parts": [{"text": "a"}, {"odd": 1}, {"odd": 2}]}, ["parts[].odd"]),
        ({"parts": [{"odd": 1}], "odd": 1, "even": 2}, ["parts[].odd", "odd", "even"]),
        ({"odd": None, "even": [], "first": {"odd": False}}, []),
        ({"odd": 0}, ["odd"]),
        ({"first": {"type": "text", "odd": 1}}, ["first.odd"]),
        ({"first": {"type": "image", "odd": 1}}, []),
        ({"first": {"cache": 1, "odd": 1}}, ["first.odd"]),
        ({"a name": 1, "n" * 65: 1}, ["a field"]),
        ({"first": {"a\nname": 1}}, ["first"]),
    ],
)
def test_what_is_not_known_is_named_by_its_path_unless_it_asks_for_nothing(
    body: dict[str, Any], unknown: list[str]
) -> None:
    found, named = read(**{**KNOWN, **body})
    assert (found.model, named) == ("m", unknown)


def test_a_part_of_a_body_is_named_by_its_place_there_without_numbers() -> None:
    assert read("messages[3]", odd=1)[1] == ["messages[].odd"]


def test_a_wrong_type_is_refused_with_its_place_though_something_is_not_known() -> None:
    with pytest.raises(BadRequestError) as caught:
        read("messages[3]", odd=1, first={"text": 5})
    assert "messages[3].first.text" in caught.value.refusal.message
