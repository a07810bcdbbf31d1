"""A fault that nobody foresaw is one sentence, and the rest only where it is asked for."""

import json

import pytest

from exo_supervisor.cli import main
from exo_supervisor.cli.unexpected import explain

Out = pytest.CaptureFixture[str]
UNFORESEEN = ("--config", "a\0b")
"""No file system has such a name, and no verb expects to be given one."""


@pytest.mark.parametrize("verb", ["check", "config", "run", "drill"])
def test_no_verb_prints_a_traceback(verb: str, capsys: Out) -> None:
    assert main([verb, *UNFORESEEN]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: unexpected ValueError")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("  try: exo-supervisor ")


def test_debug_prints_it_all_and_json_stays_json(capsys: Out) -> None:
    assert main(["check", "--debug", *UNFORESEEN]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert main(["check", "--json", *UNFORESEEN]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "failed"


def test_the_log_s_level_asks_for_it_too(capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXO_SUPERVISOR_LOG__LEVEL", "debug")
    assert explain(KeyError("k"), ["version"]).hint == ""
    assert "KeyError" in capsys.readouterr().err


def test_a_text_that_may_hold_a_secret_is_not_repeated() -> None:
    error = explain(RuntimeError("sk-secret"), ["status"])
    assert "sk-secret" not in error.message + "".join(error.why) + error.hint


def test_a_group_of_one_is_told_as_what_it_holds() -> None:
    group = ExceptionGroup("tasks", [PermissionError(13, "Permission denied", "/etc/x")])
    error = explain(group, ["check"])
    assert error.message == "unexpected PermissionError: permission denied: /etc/x"
