"""A user's socket has its place where nobody set XDG_RUNTIME_DIR, too."""

import os
from pathlib import Path

import pytest

from exo_supervisor.config.where import user_socket

UID = os.geteuid() or 4711


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"XDG_RUNTIME_DIR": "/r", "HOME": "/h"}, "/r/exo-supervisor/api.sock"),
        ({"HOME": "/h"}, "/h/.local/state/exo-supervisor/api.sock"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, "/s/exo-supervisor/api.sock"),
        ({"HOME": "/h", "XDG_STATE_HOME": "s"}, "/h/.local/state/exo-supervisor/api.sock"),
        ({}, None),
    ],
)
def test_it_is_where_xdg_says_or_where_state_is_kept(
    tmp_path: Path, environ: dict[str, str], place: str | None
) -> None:
    found = user_socket(environ, users=str(tmp_path), uid=UID)
    assert found == place


def test_logind_s_directory_is_used_if_it_is_ours_alone(tmp_path: Path) -> None:
    runtime = tmp_path / str(UID)
    runtime.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(runtime, UID, UID)
    ours = str(runtime / "exo-supervisor" / "api.sock")
    assert user_socket({"HOME": "/h"}, users=str(tmp_path), uid=UID) == ours
    runtime.chmod(0o777)
    assert user_socket({"HOME": "/h"}, users=str(tmp_path), uid=UID) != ours


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"HOME": "/Users/a", "TMPDIR": "/var/folders/x/T/"},
         "/Users/a/Library/Application Support/exo-supervisor/api.sock"),
        ({"TMPDIR": "/var/folders/x/T/"}, "/var/folders/x/T/exo-supervisor/api.sock"),
        ({"HOME": "h", "TMPDIR": "t"}, None),
    ],
)  # fmt: skip
def test_on_macos_it_is_where_a_mac_keeps_such_things(
    tmp_path: Path, environ: dict[str, str], place: str | None
) -> None:
    found = user_socket(environ, users=str(tmp_path), uid=UID, platform="darwin")
    assert found == place


def test_root_has_no_place_of_its_own(tmp_path: Path) -> None:
    assert user_socket({"HOME": "/root"}, users=str(tmp_path), uid=0) is None
