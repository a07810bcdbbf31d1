"""What outlasts a restart is kept where systemd says, else where the user's or the system's is."""

import os
from collections.abc import Iterator

import pytest

from exo_supervisor.config.where import SYSTEM_STATE, state_directory


@pytest.fixture
def user() -> Iterator[None]:
    """Be no root for the length of a test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "HOME": "/h"}, "/var/lib/a"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/exo-supervisor"),
        ({"XDG_STATE_HOME": "x", "HOME": "/h"}, "/h/.local/state/exo-supervisor"),
        ({"HOME": "/h"}, "/h/.local/state/exo-supervisor"),
        ({"HOME": ""}, None),
        ({}, None),
    ],
)
def test_the_place_for_a_user(environ: dict[str, str], expected: str | None) -> None:
    assert state_directory(environ) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_place_for_root() -> None:
    assert state_directory({"XDG_STATE_HOME": "/x", "HOME": "/root"}) == SYSTEM_STATE
    assert state_directory({"STATE_DIRECTORY": "/var/lib/a"}) == "/var/lib/a"
