"""An absent service is explained by what was tried."""

import os
import socket
from pathlib import Path

import pytest

from exo_supervisor.cli import main
from exo_supervisor.cli.locate import gone, has_failed
from exo_supervisor.config.where import SYSTEM_SOCKET, user_socket

SYSTEMD = Path("/run/systemd/system").is_dir()
STARTED = "systemctl start exo-supervisor, or " if SYSTEMD else ""


@pytest.mark.parametrize("text", [None, "] no TOML"])
def test_a_named_file_that_is_missing_or_broken_is_bad_configuration(
    folder: Path, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "named.toml"
    if text is not None:
        path.write_text(text)
    assert main(["socket", "--config", str(path)]) == 78
    told = f"error: the configuration cannot be read\n  why: {path}: "
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.real_time
def test_a_missing_socket_is_69_and_says_how_to_start(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "none.sock"
    assert main(["status", "--socket", str(path)]) == 69
    assert capsys.readouterr() == (
        "",
        (
            "error: no service answers\n"
            f"  why: {path}: no such file\n"
            f"  try: {STARTED}exo-supervisor run\n"
        ),
    )


@pytest.mark.real_time
def test_a_socket_that_nobody_listens_on_is_the_story_of_a_dead_service(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "dead.sock"
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(path))
    assert main(["nodes", "--socket", str(path)]) == 69
    assert capsys.readouterr().err == (
        "error: no service answers\n"
        f"  why: {path}: connection refused, the service is gone\n"
        f"  try: its log, on the standard error of: exo-supervisor run --socket {path}\n"
    )


def test_only_the_system_s_service_has_its_log_in_the_journal() -> None:
    journal = gone(SYSTEM_SOCKET) == "journalctl -u exo-supervisor -n 20"
    assert journal == SYSTEMD
    mine = user_socket(os.environ)
    if mine is not None:
        assert gone(str(mine)).endswith(": exo-supervisor run")
    assert gone("/tmp/a b").endswith("exo-supervisor run --socket '/tmp/a b'")


@pytest.mark.parametrize("path", ["/tmp/" + "x" * 200, "/dev/null", "/tmp/nul\0"])
def test_a_path_that_is_no_socket_is_an_answer_too(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--socket", path]) == 69
    assert "error: no service answers" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_a_service_that_failed_is_known_as_such(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its journal says more than a new start would."""
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\ntest "$*" = "{ASKED}" && exit {code}; exit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert has_failed() is (code == 0)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert has_failed() is False


ASKED = "is-failed --quiet exo-supervisor"
