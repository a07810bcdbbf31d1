"""A command line is understood wherever its flags stand, or refused with the nearest word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.cli import main
from exo_supervisor.cli.errors import USAGE, VerbError
from exo_supervisor.cli.parse import Arguments, parse
from exo_supervisor.cli.verbs import ELSEWHERE, LEADS, VERBS


@pytest.mark.parametrize(
    "argv",
    [
        ["--json", "--socket", "/s", "status"],
        ["status", "--socket=/s", "--json"],
        ["--socket", "/s", "--json", "--", "status"],
    ],
)
def test_flags_may_stand_before_or_after_the_verb(argv: list[str]) -> None:
    assert parse(argv) == Arguments(verb="status", socket="/s", json=True)


def test_a_prompt_is_made_of_all_words_and_a_double_dash_protects_them() -> None:
    found = parse(["chat", "--model", "m", "what", "is", "--", "--json"])
    assert found == Arguments(verb="chat", words=("what", "is", "--json"), model="m")


@pytest.mark.parametrize(
    ("said", "found"),
    [("90", 90), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("9999d", 863_913_600)],
)
def test_a_time_has_its_unit(said: str, found: float) -> None:
    assert parse(["inspect", "--for", said]).lasting == found


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["stats"], "unknown verb `stats`, similar: `status`"),
        (["status", "--jsn"], "unknown flag `--jsn`, similar: `--json`"),
        (["start"], "unknown verb `start`: here it is `run`, to start the service"),
        (
            ["serve", "--config", "x"],
            "unknown verb `serve`: here it is `run`, to start the service",
        ),
        (["up"], "unknown verb `up`: here it is `run`, to start the service"),
        (["stop"], "unknown verb `stop`: it ends by a signal, once its answers have ended"),
        (["logs"], "unknown verb `logs`: its log is what `run` writes to standard error"),
        (["help", "stats"], "unknown verb `stats`, similar: `status`"),
        (["chat", "--max-tokens", "0"], "--max-tokens wants a number above 0, got `0`"),
        (["chat", "--max-tokens", "9" * 5000], "--max-tokens wants a number above 0, got `9"),
        (["chat", "--temperature", "3"], "--temperature wants a number from 0 to 2, got `3`"),
        (["chat", "--temperature", "warm"], "--temperature wants a number from 0 to 2, got `w"),
        (["-x"], "unknown flag `-x`"),
        (["status", "now"], "status does not take the word `now`"),
        (["models", "place", "m", "n"], "models does not take the word `n`"),
        (["status", "--model", "m"], "status has no flag --model"),
        (["chat", "--model"], "--model wants a value"),
        (["chat", "--model", "--json"], "--model wants a value"),
        (["status", "--socket="], "--socket wants a value"),
        (["status", "--json=yes"], "--json takes no value"),
        (["chat", "--route", "moon"], "--route wants `exo` or `cloud`, got `moon`"),
        (["chat", "--privacy", "any"], "--privacy wants `local_only`, got `any`"),
        (["chat", "--deadline", "soon"], "--deadline wants seconds above 0, got `soon`"),
        (["chat", "--deadline", "-5"], "--deadline wants seconds above 0, got `-5`"),
        (["inspect", "--for", "soon"], "--for wants a time as 90s, 10m or 2h, got `soon`"),
        (["inspect", "--for", "0"], "--for wants a time as 90s, 10m or 2h, got `0`"),
        (["inspect", "--for", "-5"], "--for wants a time as 90s, 10m or 2h, got `-5`"),
        (["inspect", "--for", "m"], "--for wants a time as 90s, 10m or 2h, got `m`"),
        (["inspect", "--for", "infh"], "--for wants a time as 90s, 10m or 2h, got `infh`"),
        (["inspect", "--for="], "--for wants a value"),
        (["inspect", "--next", "0"], "--next wants a number above 0, got `0`"),
        (["inspect", "it", "all"], "inspect does not take the word `all`"),
        (["chat", "--deadline", "inf"], "--deadline wants seconds above 0, got `inf`"),
    ],
)
def test_what_is_not_understood_is_named(argv: list[str], message: str) -> None:
    with pytest.raises(VerbError) as caught:
        parse(argv)
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == USAGE


@given(st.lists(st.text(max_size=12) | st.sampled_from(["--json", "chat", "-h", "--", "--route"])))
def test_any_words_are_understood_or_refused(argv: list[str]) -> None:
    """Nothing but a known verb or a usage error ever comes out of a command line."""
    try:
        found = parse(argv).verb
    except VerbError as error:
        found = error.exit_code
    assert found in {"", USAGE, *VERBS}


def test_no_verb_shows_the_help_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "start  demo" in err


@pytest.mark.parametrize("argv", [["--help"], ["-h"], *([verb, "-h"] for verb in VERBS)])
def test_help_fits_one_screen(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(len(line) for line in lines) <= 80


def test_help_is_given_at_any_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", "why", "--help"]) == 0
    assert "usage: exo-supervisor chat [PROMPT]" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_also_a_flag(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr().out.startswith("exo-supervisor ")


def test_help_is_also_a_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    assert "start  demo" in capsys.readouterr().out
    assert main(["help", "chat"]) == 0
    assert "usage: exo-supervisor chat [PROMPT]" in capsys.readouterr().out


def test_a_short_flag_is_the_long_one() -> None:
    assert parse(["chat", "-m", "x"]) == parse(["chat", "--model", "x"])


def test_every_word_from_elsewhere_leads_to_a_verb() -> None:
    assert set(LEADS.values()) <= set(VERBS)
    assert not set(LEADS) & set(VERBS)
    assert not set(ELSEWHERE) & {*LEADS, *VERBS}


def test_a_usage_error_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["breakers"]) == USAGE
    assert capsys.readouterr() == (
        "",
        "error: unknown verb `breakers`, similar: `breaker`\n  try: exo-supervisor --help\n",
    )


def test_an_error_under_json_is_one_object_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--json", "nope"]) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith('{"error": {"message": "unknown verb `nope`')


def test_version_is_one_line_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out.startswith("exo-supervisor 0.1.0\nPython 3.")
    assert main(["version", "--json"]) == 0
    assert capsys.readouterr().out.startswith('{"version": "0.1.0", "python": "3.')
