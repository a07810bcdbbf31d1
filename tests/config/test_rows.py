"""Each name of a model stands for one row, and no row leads to itself."""

import pytest

from exo_supervisor.app.policy import policy_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.row_checks import MOST_ROWS

CLOUD = '[[provider]]\nname = "p"\nbase_url = "https://h/v1"\n'


def row(name: str, *more: str) -> str:
    return "\n".join(["[[model]]", f'name = "{name}"', *more, ""])


def faults_of(text: str) -> list[tuple[str, int | None, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(text, file="f.toml", environ={})
    return [(each.key, each.line, each.message, each.hint) for each in caught.value.faults]


def test_what_a_row_says_of_others_reaches_the_core() -> None:
    text = row("a", 'exo = "x"', 'aliases = ["b", "c-*"]', 'any_of = ["d"]', "context = 9")
    text += row("d", 'fallback = ["e-*"]') + row("e-*", 'exo = ["y"]')
    first, second, third = policy_of(read(text, file="f", environ={}).config, {}).models
    assert (first.aliases, first.any_of, first.context) == (("b", "c-*"), ("d",), 9)
    assert (second.fallback, second.exo, second.cloud) == (("e-*",), (), ())
    assert third.name == "e-*"


@pytest.mark.parametrize(
    ("text", "key", "line", "part"),
    [
        pytest.param(
            row("a", 'exo = "x"', 'aliases = ["b", "a"]'),
            "model[0].aliases[1]", 4, 'model.aliases[1] "a" is given twice', id="its own name",
        ),
        pytest.param(
            row("a", 'exo = "x"') + row("b", 'exo = "x"', 'aliases = ["a"]'),
            "model[1].aliases[0]", 7, "first on line 2", id="another row's name",
        ),
        pytest.param(
            row("a", 'exo = "x"', 'aliases = ["c"]') + row("b", 'exo = "x"', 'aliases = ["c"]'),
            "model[1].aliases[0]", 8, "first on line 4", id="another row's alias",
        ),
        pytest.param(
            row("a", 'exo = "x"', 'aliases = ["b"]') + row("b", 'exo = "x"'),
            "model[1].name", 6, 'model.name "b" is given twice', id="a name that was an alias",
        ),
        pytest.param(
            row("a", 'fallback = ["smal"]') + row("small", 'exo = "x"'),
            "model[0].fallback[0]", 3, "similar name: `small`", id="nearly a row",
        ),
        pytest.param(
            row("a", 'exo = "x"', 'any_of = ["zzz"]'),
            "model[0].any_of[0]", 4, "add the [[model]] of that name", id="no row",
        ),
        pytest.param(
            row("a", 'exo = "x"', 'aliases = ["zzz"]') + row("b", 'any_of = ["zzz"]'),
            "model[1].any_of[0]", 7, 'names no [[model]], got "zzz"', id="an alias is no row",
        ),
        pytest.param(
            row("a", 'any_of = ["a"]'),
            "model[0].any_of[0]", 3, "a -> a", id="itself",
        ),
        pytest.param(
            row("c", 'exo = "x"', 'fallback = ["a"]') + row("a", 'any_of = ["b"]')
            + row("b", 'exo = "x"', 'fallback = ["a"]'),
            "model[2].fallback[0]", 11, "a -> b -> a", id="a circle of both kinds",
        ),
        pytest.param(row("a"), "model[0]", 1, "names neither", id="nothing at all"),
        pytest.param(
            row("a", 'exo = "x"', "context = -1"), "model[0].context", 4, "tokens", id="below zero"
        ),
        pytest.param(
            row("a", 'exo = "x"', 'fall_back = ["b"]'),
            "model[0].fall_back", 4, "similar key: `fallback`", id="a key misspelt",
        ),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_told_once_at_its_place(
    text: str, key: str, line: int, part: str
) -> None:
    [(found, at, message, hint)] = faults_of(text)
    assert (found, at) == (key, line)
    assert part in f"{message} {hint}"


def test_two_rows_that_lead_to_one_are_no_circle() -> None:
    text = row("a", 'fallback = ["b", "c"]') + row("b", 'exo = "x"', 'fallback = ["c"]')
    read(text + row("c", 'exo = "y"', "any_of = []"), file="f", environ={})


def test_a_wrong_list_of_names_is_told_as_that_alone() -> None:
    [(key, *_)] = faults_of(row("a", "any_of = 1"))
    assert key == "model[0].any_of"


def test_deep_rows_are_followed_to_their_end() -> None:
    rows = "".join(row(f"r{n}", f'fallback = ["r{n + 1}"]') for n in range(300))
    read(rows + row("r300", 'exo = "x"'), file="f", environ={})


def test_rows_that_follow_one_another_without_end_are_told_of_and_are_no_crash() -> None:
    """Hostile finding 13: 1,100 rows in a chain were a RecursionError."""
    rows = "".join(row(f"r{n}", f'fallback = ["r{n + 1}"]') for n in range(1_100))
    [(key, line, message, hint)] = faults_of(rows + row("r1100", 'exo = "x"'))
    assert (key, line) == (f"model[{1_100 - MOST_ROWS}].fallback[0]", (1_100 - MOST_ROWS) * 3 + 3)
    assert (
        message
        == f"model.fallback[0] leads on over more than {MOST_ROWS} rows, one after the other"
    )
    assert "one fallback" in hint


def test_a_circle_of_many_rows_is_told_shortly() -> None:
    rows = "".join(row(f"r{n}", f'any_of = ["r{(n + 1) % 1_100}"]') for n in range(1_100))
    [(key, _, message, _)] = faults_of(rows)
    assert key == "model[1099].any_of[0]"
    assert message.endswith("r0 -> r1 -> r2 -> r3 -> r4 -> r5 -> r6 -> r7 -> ... -> r0")
