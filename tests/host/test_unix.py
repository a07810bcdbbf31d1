"""The socket's file: who may connect, whose it is, and what happens to one that was there."""

import errno
import fcntl
import grp
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exo_supervisor.errors import StartError
from exo_supervisor.host.unix import adopt, make_base, open_socket

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture
def directory() -> Iterator[Path]:
    """Give a short path: a Unix socket's holds 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def path(directory: Path) -> str:
    return str(directory / "api.sock")


def answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def stale(path: str) -> None:
    """Leave a file behind, as a killed service does."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()


def test_it_listens_without_blocking_until_it_is_closed(path: str) -> None:
    opened = open_socket(path, mode=0o660, group="")
    assert answers(path)
    assert not opened.socket.getblocking()
    assert opened.path == path
    opened.close()
    opened.close()
    assert not Path(path).exists()


BIRTH = """
import os, stat, sys
from exo_supervisor.host.unix import open_socket
def heard(event, arguments):
    if event in ("os.chmod", "os.chown", "socket.bind"):
        sys.stdout.write(event + " ")
sys.addaudithook(heard)
os.umask(0)
open_socket(sys.argv[1], mode=0o600, group="")
sys.stdout.write(oct(stat.S_IMODE(os.lstat(sys.argv[1]).st_mode)))
"""


def test_the_file_is_born_with_its_mode(path: str) -> None:
    """Nothing is bound and then made private: a chmod would leave a moment, and follow a link."""
    words = [sys.executable, "-c", BIRTH, path]
    said = subprocess.run(  # noqa: S603 - our own interpreter
        words, check=True, capture_output=True, text=True
    ).stdout
    assert said.split() == ["socket.bind", "0o600"]


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_what_was_asked_whatever_the_umask(path: str, mode: int) -> None:
    before = os.umask(0o077)
    try:
        opened = open_socket(path, mode=mode, group="")
        assert os.umask(0o077) == 0o077, "the umask is as it was"
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.lstat(path).st_mode) == mode
    opened.close()


@as_root
def test_the_group_is_what_was_asked(path: str) -> None:
    group = next(entry for entry in grp.getgrall() if entry.gr_gid not in {0, os.getegid()})
    opened = open_socket(path, mode=0o660, group=group.gr_name)
    assert os.lstat(path).st_gid == group.gr_gid
    opened.close()


def test_a_burst_waits_instead_of_failing(path: str) -> None:
    backlog = min(4096, int(Path("/proc/sys/net/core/somaxconn").read_text()))
    burst = min(backlog, 300)  # asyncio's own default would refuse the 101st
    opened = open_socket(path, mode=0o660, group="")
    clients = [socket.socket(socket.AF_UNIX) for _ in range(burst)]
    try:
        for client in clients:
            client.settimeout(0.0)
        assert {client.connect_ex(path) for client in clients} == {0}
    finally:
        for client in clients:
            client.close()
        opened.close()


def test_a_stale_file_is_replaced(path: str) -> None:
    stale(path)
    assert not answers(path)
    opened = open_socket(path, mode=0o660, group="")
    assert answers(path)
    opened.close()


def test_a_live_service_is_refused_and_lives_on(path: str) -> None:
    opened = open_socket(path, mode=0o660, group="")
    with pytest.raises(StartError, match=f"another service answers on {path}; stop it "):
        open_socket(path, mode=0o660, group="")
    assert answers(path)
    opened.close()


def test_a_live_service_too_busy_to_answer_is_still_alive(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(path)
        busy.listen(0)
        first.connect(path)
        with socket.socket(socket.AF_UNIX) as second:
            second.settimeout(0.0)
            assert second.connect_ex(path) == errno.EAGAIN
        with pytest.raises(StartError, match="another service answers"):
            open_socket(path, mode=0o660, group="")


def test_a_live_datagram_service_is_refused(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        with pytest.raises(StartError, match="another service answers"):
            open_socket(path, mode=0o660, group="")


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_not_a_socket_is_left_alone(path: str, kind: str) -> None:
    match kind:
        case "file":
            Path(path).write_text("precious")
        case "directory":
            Path(path).mkdir()
        case _:
            stale(f"{path}.old")
            Path(path).symlink_to(f"{path}.old")
    before = os.lstat(path)
    with pytest.raises(StartError, match="exists and is not a socket, so it was left alone; move"):
        open_socket(path, mode=0o660, group="")
    assert os.lstat(path) == before


def test_a_file_that_somebody_put_in_its_place_is_not_removed(path: str) -> None:
    opened = open_socket(path, mode=0o660, group="")
    Path(path).unlink()
    second = open_socket(path, mode=0o660, group="")
    opened.close()
    assert answers(path)
    second.close()


def test_closing_after_a_server_closed_the_socket_still_removes_the_file(path: str) -> None:
    opened = open_socket(path, mode=0o660, group="")
    opened.socket.close()
    opened.close()
    assert not Path(path).exists()


def test_the_last_directory_is_made_and_no_other(directory: Path) -> None:
    before = os.umask(0o077)
    try:
        open_socket(f"{directory}/made/api.sock", mode=0o660, group="").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((directory / "made").stat().st_mode) == 0o755
    with pytest.raises(
        StartError, match=f"no such file or directory; create {directory}/a/b first"
    ):
        open_socket(f"{directory}/a/b/api.sock", mode=0o660, group="")
    (directory / "file").touch()
    with pytest.raises(StartError, match="not a directory"):
        open_socket(f"{directory}/file/api.sock", mode=0o660, group="")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 108, r"has \d+ bytes and the system allows 107; set server.socket to a shorter one"),
        ("", "is no path for a socket"),
        ("nul\0", "is no path for a socket"),
        ("\ud800", "is no path for a socket"),
    ],
)
def test_a_path_that_cannot_be_is_refused(name: str, message: str) -> None:
    with pytest.raises(StartError, match=message):
        open_socket(name, mode=0o660, group="")


def test_the_longest_path_works(directory: Path) -> None:
    path = f"{directory}/".ljust(107, "x")
    open_socket(path, mode=0o660, group="").close()
    with pytest.raises(StartError, match="has 108 bytes"):
        open_socket(f"{path}x", mode=0o660, group="")


def test_an_unknown_group_is_refused_and_leaves_nothing(path: str) -> None:
    with pytest.raises(StartError, match="there is no group 'no-such-group' on this machine"):
        open_socket(path, mode=0o660, group="no-such-group")
    assert not Path(path).exists()


AS_NOBODY = """
import os, sys
from exo_supervisor.errors import StartError
from exo_supervisor.host.unix import open_socket
os.setgroups([]); os.setgid({nobody}); os.setuid({nobody})
try:
    open_socket(sys.argv[1], mode=0o660, group=sys.argv[2])
except StartError as refusal:
    sys.exit(str(refusal))
"""


@as_root
@pytest.mark.parametrize(("writable", "group"), [(False, ""), (True, "root")])
def test_what_the_machine_forbids_is_said_with_advice(
    directory: Path, path: str, *, writable: bool, group: str
) -> None:
    directory.chmod(0o777 if writable else 0o755)
    answer = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", AS_NOBODY.format(nobody=NOBODY), path, group],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"the socket {path} cannot be opened: ")
    assert f"let this user write to {directory}" in answer.stderr
    assert not Path(path).exists()


RACE = """
import sys
from exo_supervisor.errors import StartError
from exo_supervisor.host.unix import open_socket
sys.stdin.readline()
try:
    opened = open_socket(sys.argv[1], mode=0o660, group="")
except StartError as refusal:
    print(refusal, flush=True)
else:
    print("won", flush=True)
sys.stdin.readline()
"""


def test_of_services_that_start_at_once_over_a_stale_file_exactly_one_wins(path: str) -> None:
    stale(path)
    racers = [
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", RACE, path],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.stdout.readline() for racer in racers if racer.stdout is not None]
    assert answers(path)
    for racer in racers:
        racer.communicate("end\n")
    assert said.count("won\n") == 1
    assert sum("another service answers" in word for word in said) == 5


def test_a_directory_locked_for_good_is_said(directory: Path, path: str) -> None:
    lock = os.open(directory, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(StartError, match="stays locked by another process"):
        open_socket(path, mode=0o660, group="", patience=0.1)
    os.close(lock)


def test_an_adopted_socket_keeps_its_file(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(path)
        passed.listen()
        adopted = adopt(passed)
        assert adopted.path == path
        assert not adopted.socket.getblocking()
        adopted.close()
    assert Path(path).exists()


def test_only_a_listening_unix_stream_is_adopted(path: str) -> None:
    idle, datagram = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    tcp = socket.create_server(("127.0.0.1", 0))
    datagram.bind(path)
    for passed in (idle, datagram, tcp):
        with passed, pytest.raises(StartError, match="not a listening Unix stream socket; use"):
            adopt(passed)


def test_the_file_is_born_with_its_mode_whatever_the_umask(path: str) -> None:
    before = os.umask(0o077)
    try:
        listening = open_socket(path, mode=0o666, group="")
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o666
        listening.close()
    finally:
        assert os.umask(before) == 0o077, "it was given back"


SWAP = """
import os, sys
from exo_supervisor.host.unix import open_socket
path, victim, group = sys.argv[1:]
def swap(event, told):
    if event in ("os.chmod", "os.chown") and os.path.exists(path):
        os.unlink(path); os.symlink(victim, path)
sys.addaudithook(swap)
open_socket(path, mode=0o666, group=group)
"""


@as_root
def test_a_link_that_takes_the_files_place_is_not_followed(directory: Path, path: str) -> None:
    """Who may write to the directory could have any file's mode and group changed."""
    victim = directory / "victim"
    victim.touch(0o600)
    group = grp.getgrgid(NOBODY).gr_name
    words = [sys.executable, "-c", SWAP, path, str(victim), group]
    subprocess.run(words, check=False, capture_output=True)  # noqa: S603 - words of this file
    status = victim.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o600, 0)


def test_what_leads_to_a_user_s_own_socket_is_made_for_that_user_alone(tmp_path: Path) -> None:
    make_base(str(tmp_path / "a" / "b" / "exo-supervisor" / "api.sock"))
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert not (tmp_path / "a" / "b" / "exo-supervisor").exists()
    make_base("/proc/none/x/y")
