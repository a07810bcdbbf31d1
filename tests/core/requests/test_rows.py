"""A row is found by all of its names, and leads to the rows that stand in for it."""

import pytest

from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.policy import ModelRule
from exo_supervisor.core.requests.rows import Link, Rows, fits

P = ProviderName("p")
A, B, C = ModelId("a"), ModelId("b"), ModelId("c")
RULES = (
    ModelRule("one", exo=(A,), aliases=("eins", "claude-*"), any_of=("two",), fallback=("three",)),
    ModelRule("two", exo=(B, A), cloud=((P, B),), fallback=("four",)),
    ModelRule("three", cloud=((P, C),), fallback=("four", "two")),
    ModelRule("four", exo=(C,), local_only=True),
    ModelRule("claude-*-mini", exo=(A,)),
    ModelRule("*", fallback=("three",)),
    ModelRule("five", any_of=("four", "six")),
    ModelRule("six", exo=(B,), any_of=("four",)),
)
ROWS = Rows(RULES)


@pytest.mark.parametrize(
    ("pattern", "name", "fit"),
    [
        ("*", "", True),
        ("*", "anything/at-all", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*a*", "a", True),
        ("*a*", "abc", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a*bb*b", "abb", False),
        ("gpt-*", "GPT-4", False),
        ("a[b]?*", "a[b]?c", True),
        ("a[b]?*", "abxc", False),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_stands_for_more(
    pattern: str, name: str, *, fit: bool
) -> None:
    assert fits(pattern, name) is fit


def test_a_long_name_costs_no_more_than_its_length() -> None:
    assert not fits("*".join("a" * 200) + "*b", "a" * 4096)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("claude-x-mini", "claude-*-mini"),
        ("claude-x", "one"),
        ("other", "*"),
    ],
)
def test_the_longest_pattern_goes_first(name: str, row: str) -> None:
    found = ROWS.matching(name)
    assert found is not None
    assert found.name == row


def test_what_no_pattern_fits_is_no_row() -> None:
    assert Rows(RULES[:2]).matching("gpt") is None
    assert set(ROWS.named) == {"one", "eins", "two", "three", "four", "five", "six"}


def test_equals_are_one_link_and_who_stands_in_comes_once_in_order() -> None:
    assert ROWS.chain(RULES[0]) == (
        Link("one", (A, B), ((P, B),)),
        Link("three", (), ((P, C),)),
        Link("four", (C,), ()),
    )
    assert ROWS.chain(RULES[5]) == (
        Link("*", (), ()),
        Link("three", (), ((P, C),)),
        Link("four", (C,), ()),
        Link("two", (B, A), ((P, B),)),
    )


def test_a_row_that_two_others_name_as_good_comes_once() -> None:
    assert ROWS.chain(RULES[6]) == (Link("five", (C, B), ()),)


def test_one_row_on_the_way_keeps_the_whole_request_in_the_house() -> None:
    assert [rule.name for rule in RULES if not ROWS.is_local(rule)] == ["claude-*-mini"]
