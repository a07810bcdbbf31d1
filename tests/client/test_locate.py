"""The socket is found where it was named, else where a service has it by itself."""

import os
from pathlib import Path

import pytest

from exo_supervisor.client.locate import UnreadableFileError, address_of, socket_paths
from exo_supervisor.config.where import FILE_VARIABLE, SOCKET_VARIABLE, SYSTEM_SOCKET

HIDDEN = "/" + "x" * 300
"""A look at it raises, for root too, as a look into another's home does for everybody else."""


def test_a_flag_wins_over_environment_and_configuration(tmp_path: Path) -> None:
    environ = {SOCKET_VARIABLE: "/env", "XDG_CONFIG_HOME": _config(tmp_path, 'socket = "/file"')}
    assert socket_paths("/flag", None, environ) == ["/flag"]
    assert socket_paths(None, None, environ) == ["/env"]
    del environ[SOCKET_VARIABLE]
    assert socket_paths(None, None, environ) == ["/file"]


def test_the_variable_is_a_toml_value(tmp_path: Path) -> None:
    environ = {SOCKET_VARIABLE: '"/quoted"', "HOME": str(tmp_path)}
    assert socket_paths(None, None, environ) == ["/quoted"]


def test_without_a_name_the_own_socket_is_tried_before_the_system_s(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/7", "HOME": str(tmp_path)}
    own = "/run/user/7/exo-supervisor/api.sock"
    assert socket_paths(None, None, environ) == [own, SYSTEM_SOCKET]
    assert socket_paths(None, None, {"HOME": str(tmp_path)})[-1] == SYSTEM_SOCKET


def test_a_home_that_may_not_be_looked_into_has_no_file() -> None:
    assert socket_paths(None, None, {"HOME": HIDDEN})[-1] == SYSTEM_SOCKET


@pytest.mark.parametrize("text", ["socket = 7", "socket = ''", "] no TOML", "\udc80"])
def test_a_file_that_was_only_found_may_say_anything(tmp_path: Path, text: str) -> None:
    environ = {"XDG_CONFIG_HOME": _config(tmp_path, text)}
    assert socket_paths(None, None, environ) == [SYSTEM_SOCKET]


def test_a_file_that_was_named_is_read_and_only_its_socket_matters(tmp_path: Path) -> None:
    _config(tmp_path, 'socket = "/s"\nnonsense = true')
    named = tmp_path / "exo-supervisor" / "supervisor.toml"
    assert socket_paths(None, str(named), {}) == ["/s"]
    assert socket_paths(None, None, {FILE_VARIABLE: str(named)}) == ["/s"]


@pytest.mark.parametrize(
    "text",
    [
        'socket="/s"',
        '"so\\u0063ket" = "/s"',
        'socket_mode = "0600"\nsocket = "/s" # here',
        'socket = ""\n[x]\n[[y]]\n[z]\nz = """\n# socket = ""\n"""',
    ],
)
def test_a_file_is_read_as_toml_wherever_it_may_name_the_socket(tmp_path: Path, text: str) -> None:
    named = ["/s"] if "/s" in text else [SYSTEM_SOCKET]
    assert socket_paths(None, None, {"XDG_CONFIG_HOME": _config(tmp_path, text)}) == named


@pytest.mark.parametrize("text", [None, "] no TOML"])
def test_a_named_file_that_is_missing_or_broken_is_told(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "named.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UnreadableFileError, match=f"{path}: "):
        socket_paths(None, str(path), {})


def test_a_listener_is_named_by_its_url() -> None:
    assert address_of("http://127.0.0.1:11435") == ("127.0.0.1", 11435)
    assert address_of("http://localhost:7/v1") == ("localhost", 7)
    assert address_of("http://[::1]:7/") == ("::1", 7)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:7", "https://h:7", "http://h", "http://:7", "http://h:x"]
)
def test_what_names_no_listener_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no http://HOST:PORT"):
        address_of(url)


def _config(tmp_path: Path, server: str) -> str:
    path = tmp_path / "exo-supervisor" / "supervisor.toml"
    path.parent.mkdir()
    path.write_text(f"[server]\n{server}\n", encoding="utf-8", errors="surrogateescape")
    return os.fspath(tmp_path)
