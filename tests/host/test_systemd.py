"""What is said to systemd, and what is taken from it."""

import os
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from exo_supervisor.host.systemd import notify, passed_sockets, watchdog_period


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a short path: a Unix socket's holds 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_arrives(directory: Path, *, abstract: bool) -> None:
    name = f"@{uuid.uuid4()}" if abstract else str(directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0"))
        notify("READY=1\nSTATUS=all is well", {"NOTIFY_SOCKET": name})
        assert receiver.recv(1000) == b"READY=1\nSTATUS=all is well"


@pytest.mark.parametrize(
    "name", ["", "relative", "vsock:1:2", "/nowhere/at/all", "/" + "x" * 200, "/nul\0", "@"]
)
def test_nobody_to_tell_is_no_error(name: str) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": name})
    notify("READY=1", {})


def test_an_unspeakable_state_is_no_error(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(directory / "notify"))
        notify("STATUS=\ud800", {"NOTIFY_SOCKET": str(directory / "notify")})


@pytest.mark.real_time
async def test_a_systemd_that_does_not_read_blocks_no_loop(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(directory / "notify"))
        for _ in range(2000):
            notify("WATCHDOG=1", {"NOTIFY_SOCKET": str(directory / "notify")})


@pytest.mark.parametrize(
    ("environ", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
    ],
)
def test_the_watchdogs_period(environ: dict[str, str], period: float | None) -> None:
    assert watchdog_period(environ) == period


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "api"},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "-1", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_was_not_passed_to_us_is_not_taken(environ: dict[str, str]) -> None:
    assert passed_sockets(environ) == []
    assert environ == {}


TAKES = """
import os, sys
from exo_supervisor.errors import StartError
from exo_supervisor.host.unix import adopt
from exo_supervisor.host.systemd import passed_sockets
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
try:
    taken = passed_sockets()
except StartError as refusal:
    sys.exit(str(refusal))
left = [name for name in os.environ if name.startswith("LISTEN_")]
print(len(taken), os.get_inheritable(3), left, adopt(taken[0]).path, passed_sockets())
"""


def take(descriptor: int) -> subprocess.CompletedProcess[str]:
    """Run a process to which the descriptor is passed as systemd would."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", TAKES, str(descriptor)],
        env=os.environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "api"},
        pass_fds=[descriptor],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_passed_socket_is_taken_once_and_not_handed_on(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(directory / "s"))
        passed.listen()
        assert take(passed.fileno()).stdout == f"1 False [] {directory / 's'} []\n"
    assert (directory / "s").exists(), "it is systemd's to remove"


def test_a_passed_file_is_refused() -> None:
    with Path(__file__).open() as file:
        answer = take(file.fileno())
    assert answer.returncode == 1
    assert answer.stderr.startswith("descriptor 3 was passed by LISTEN_FDS=1 but is not a socket;")
