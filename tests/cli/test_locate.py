"""The socket is found where it was named, and an absent service is explained by what was tried."""

import os
import socket
from pathlib import Path

import pytest

from exo_supervisor.cli import main
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.locate import gone, has_failed, socket_paths
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.config.where import FILE_VARIABLE, SOCKET_VARIABLE, SYSTEM_SOCKET, user_socket

SYSTEMD = Path("/run/systemd/system").is_dir()
STARTED = "systemctl start exo-supervisor, or " if SYSTEMD else ""
STATUS = Arguments(verb="status")
HIDDEN = "/" + "x" * 300
"""A look at it raises, for root too, as a look into another's home does for everybody else."""


def test_a_flag_wins_over_environment_and_configuration(folder: Path) -> None:
    environ = {SOCKET_VARIABLE: "/env", "XDG_CONFIG_HOME": _config(folder, 'socket = "/file"')}
    assert socket_paths(Arguments(socket="/flag"), environ) == ["/flag"]
    assert socket_paths(STATUS, environ) == ["/env"]
    del environ[SOCKET_VARIABLE]
    assert socket_paths(STATUS, environ) == ["/file"]


def test_the_variable_is_a_toml_value(folder: Path) -> None:
    environ = {SOCKET_VARIABLE: '"/quoted"', "HOME": str(folder)}
    assert socket_paths(STATUS, environ) == ["/quoted"]


def test_without_a_name_the_own_socket_is_tried_before_the_system_s(folder: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/7", "HOME": str(folder)}
    own = "/run/user/7/exo-supervisor/api.sock"
    assert socket_paths(STATUS, environ) == [own, SYSTEM_SOCKET]
    assert socket_paths(STATUS, {"HOME": str(folder)})[-1] == SYSTEM_SOCKET


def test_a_home_that_may_not_be_looked_into_has_no_file() -> None:
    assert socket_paths(STATUS, {"HOME": HIDDEN})[-1] == SYSTEM_SOCKET


@pytest.mark.parametrize("text", ["socket = 7", "socket = ''", "] no TOML", "\udc80"])
def test_a_file_that_was_only_found_may_say_anything(folder: Path, text: str) -> None:
    environ = {"XDG_CONFIG_HOME": _config(folder, text)}
    assert socket_paths(STATUS, environ) == [SYSTEM_SOCKET]


def test_a_file_that_was_named_is_read_and_only_its_socket_matters(folder: Path) -> None:
    _config(folder, 'socket = "/s"\nnonsense = true')
    named = folder / "exo-supervisor" / "supervisor.toml"
    assert socket_paths(Arguments(config=str(named)), {}) == ["/s"]
    assert socket_paths(STATUS, {FILE_VARIABLE: str(named)}) == ["/s"]


@pytest.mark.parametrize(
    "text",
    [
        'socket="/s"',
        '"so\\u0063ket" = "/s"',
        'socket_mode = "0600"\nsocket = "/s" # here',
        'socket = ""\n[x]\n[[y]]\n[z]\nz = """\n# socket = ""\n"""',
    ],
)
def test_a_file_is_read_as_toml_wherever_it_may_name_the_socket(folder: Path, text: str) -> None:
    named = ["/s"] if "/s" in text else [SYSTEM_SOCKET]
    assert socket_paths(STATUS, {"XDG_CONFIG_HOME": _config(folder, text)}) == named


@pytest.mark.parametrize("text", [None, "] no TOML"])
def test_a_named_file_that_is_missing_or_broken_is_bad_configuration(
    folder: Path, text: str | None
) -> None:
    path = folder / "named.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(VerbError) as caught:
        socket_paths(Arguments(config=str(path)), {})
    assert caught.value.exit_code == 78
    assert caught.value.why[0].startswith(f"{path}: ")


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


def _config(folder: Path, server: str) -> str:
    path = folder / "exo-supervisor" / "supervisor.toml"
    path.parent.mkdir()
    path.write_text(f"[server]\n{server}\n", encoding="utf-8", errors="surrogateescape")
    return os.fspath(folder)


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
