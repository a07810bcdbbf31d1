"""Whatever is logged comes out short, as valid JSON, and without what is secret."""

from enum import Enum
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.views.facts import MOST_CHARACTERS, REDACTED, safe_fact


class Colour(Enum):
    RED = "red"


class Seen(msgspec.Struct, tag="seen"):
    node: str
    token: str


class Leaky:
    def __repr__(self) -> str:
        return "sk-secret"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (7, 7),
        ("text", "text"),
        (Colour.RED, "red"),
        (UUID(int=1), UUID(int=1)),
        (("a", 1), ["a", 1]),
        ({"a": {"b": 2}}, {"a": {"b": 2}}),
        ({1: "one"}, {"1": "one"}),
        (Seen("n:1", "sk"), {"type": "seen", "node": "n:1", "token": REDACTED}),
        (b"raw request bytes", "bytes"),
        (Leaky(), "Leaky"),
        (ValueError("sk-secret"), "ValueError"),
        ([Leaky()], ["Leaky"]),
        pytest.param(10**5000, "int", id="huge"),
        ("\ud800", "\\ud800"),
        ([[[[["deep"]]]]], [[[["list"]]]]),
    ],
)
def test_a_value_becomes_what_json_can_say_and_never_its_repr(
    value: object, expected: object
) -> None:
    assert safe_fact("fact", value) == expected


@pytest.mark.parametrize(
    "key", ["authorization", "Authorization", "api_key", "X-Api-Key", "token", "key", "body"]
)
def test_what_stands_under_a_secret_name_is_redacted_at_any_depth(key: str) -> None:
    assert safe_fact(key, "sk-secret") == REDACTED
    assert safe_fact("headers", {key: "sk-secret"}) == {key: REDACTED}
    assert safe_fact("list", [{"a": {key: Leaky()}}]) == [{"a": {key: REDACTED}}]


@pytest.mark.parametrize("key", ["prompt_tokens", "tokens", "keys", "content_type"])
def test_innocent_names_are_kept(key: str) -> None:
    assert safe_fact(key, 5) == 5


def test_long_texts_and_lists_are_cut_and_say_so() -> None:
    assert safe_fact("fact", "x" * 1_000_000) == "x" * MOST_CHARACTERS + "... (1000000 characters)"
    assert safe_fact("fact", list(range(1000))) == [*range(32), "... (1000 items)"]
    table = safe_fact("fact", {str(n): n for n in range(1000)})
    assert table == {str(n): n for n in range(32)} | {"...": 1000}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Cc", "Lu"]))
    | st.binary()
    | st.builds(Leaky),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.tuples(inner)
    ),
)


@given(value=anything)
def test_every_fact_can_be_written(value: object) -> None:
    assert b"sk-secret" not in msgspec.json.encode(safe_fact("fact", value))
