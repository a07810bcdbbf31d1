"""`top` at a real terminal, at a dumb one and in a pipe; however it ends, it leaves no trace."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Generator
from contextlib import contextmanager
from select import select
from threading import Event

import pytest

from tests.cli.conftest import TIMEOUT, Handler, Service, streamed

pytestmark = pytest.mark.real_time
EVENTS = "GET /supervisor/events"
NOW = (
    'id: f-1\nevent: now\ndata: {"verdict":{"level":"well","parts":["ready","Exo %s"]},'
    '"running":0,"waiting":0}\n\n'
)


@pytest.fixture
def house(service: Service) -> Generator[Service]:
    """Stand for a service that tells how it is, and then nothing, until the end."""
    over = Event()
    for name in ("nodes", "breakers", "requests"):
        service.says(f"GET /supervisor/{name}", {name: []})
    service.says("GET /supervisor/nodes", {"nodes": [{"id": "n:1\x1b[2J", "rung": "ready"}]})
    service.says("GET /supervisor/shifts", {"shifts": [], "trips": []})
    service.says("GET /supervisor/status", {"providers": []})
    service.on(EVENTS, streamed(NOW % "serves", hold=over))
    yield service
    over.set()


class Terminal:
    """A terminal, and the verb that runs in it."""

    def __init__(self, house: Service, *words: str, term: str = "xterm") -> None:
        self.near, self.far = pty.openpty()
        termios.tcsetwinsize(self.far, (24, 80))
        self.before = termios.tcgetattr(self.far)
        self.shown, self.at = b"", 0
        self.process = subprocess.Popen(  # noqa: S603 -- our own interpreter and words
            [
                *(sys.executable, "-m", "exo_supervisor", "top"),
                *("--socket", str(house.path), "--every", "0.05", *words),
            ],
            stdin=self.far, stdout=self.far, stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TERM": term},
            process_group=0,  # as a shell's job: POSIX has no stop for a group without a parent
        )  # fmt: skip

    def until(self, wanted: bytes) -> bytes:
        """Read on until it shows this, from where that was found which was waited for before."""
        while (found := self.shown.find(wanted, self.at)) < 0:
            assert select([self.near], [], [], TIMEOUT)[0], self.shown
            self.shown += os.read(self.near, 65536)
        before, self.at = self.at, found + len(wanted)
        return self.shown[before : self.at]

    def ended(self) -> int:
        code = self.process.wait(TIMEOUT)
        while select([self.near], [], [], 0)[0]:
            self.shown += os.read(self.near, 65536)
        return code


@contextmanager
def terminal(house: Service, *words: str, term: str = "xterm") -> Generator[Terminal]:
    made = Terminal(house, *words, term=term)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()
        os.close(made.near)
        os.close(made.far)


@pytest.mark.parametrize("way", ["q", "ctrl-c", pytest.param("term", marks=pytest.mark.alone)])
def test_it_draws_ends_and_leaves_the_terminal_as_it_was(house: Service, way: str) -> None:
    with terminal(house) as seen:
        seen.until(b"Exo serves")
        seen.at = 0  # the nodes may have been there before it
        seen.until(b"n:1[2J")
        assert termios.tcgetattr(seen.far) != seen.before
        if way == "q":
            os.write(seen.near, b"q")
        else:
            seen.process.send_signal(signal.SIGINT if way == "ctrl-c" else signal.SIGTERM)
        ends = {"q": 0, "ctrl-c": -signal.SIGINT, "term": -signal.SIGTERM}
        assert seen.ended() == ends[way]
        assert termios.tcgetattr(seen.far) == seen.before
        assert seen.shown.startswith(b"\x1b[?1049h\x1b[?25l")
        assert seen.shown.endswith(b"\x1b[?25h\x1b[?1049l")
        assert b"\x1b[2J" not in seen.shown


@pytest.mark.alone
def test_it_follows_the_size_of_its_window(house: Service) -> None:
    with terminal(house) as seen:
        seen.until(b"n:1")
        termios.tcsetwinsize(seen.far, (10, 40))
        assert max(map(len, seen.until(b"\x1b[9;1H").split(b"\x1b["))) < 48


@pytest.mark.alone
def test_a_stop_gives_the_terminal_back_until_it_goes_on(house: Service) -> None:
    with terminal(house) as seen:
        seen.until(b"n:1")
        seen.process.send_signal(signal.SIGTSTP)
        seen.until(b"\x1b[?1049l")
        os.waitid(os.P_PID, seen.process.pid, os.WSTOPPED | os.WNOWAIT)
        assert termios.tcgetattr(seen.far) == seen.before
        seen.process.send_signal(signal.SIGCONT)
        seen.until(b"n:1")
        os.write(seen.near, b"q")
        assert seen.ended() == 0


@pytest.mark.alone
def test_an_idle_house_costs_a_serial_line_next_to_nothing(house: Service) -> None:
    """After the first picture only what changes is written: here that is nothing at all."""
    with terminal(house, term="vt100") as seen:
        seen.until(b"Exo serves")
        while (
            len(seen.shown) < 4096 and select([seen.near], [], [], 1.0)[0]
        ):  # the rest of that picture, and no other one
            seen.shown += os.read(seen.near, 65536)
        assert len(seen.shown) < 4096
        assert b"?1049" not in seen.shown


@pytest.mark.alone
def test_a_service_that_goes_and_comes_back_is_said_so(house: Service) -> None:
    """The last picture stays, and is followed by a fresh one."""
    gone, again = Event(), Event()
    house.on(EVENTS, streamed(NOW % "serves", hold=gone))
    with terminal(house) as seen:
        seen.until(b"Exo serves")
        house.on(EVENTS, streamed(NOW % "is back", hold=again))
        gone.set()
        assert seen.until(b"ago (it ended); before that:")
        seen.until(b"is back")
        again.set()


@pytest.mark.alone
def test_a_dumb_terminal_gets_blocks_of_lines(house: Service) -> None:
    with terminal(house, term="dumb") as seen:
        seen.until(b"Exo serves")
        seen.until(b"Exo serves")
        seen.process.send_signal(signal.SIGINT)
        assert seen.ended() == -signal.SIGINT
        assert b"\x1b" not in seen.shown


def test_in_a_pipe_there_is_one_picture(house: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main("top") == 0
    first, *more = capsys.readouterr().out.splitlines()
    assert first.startswith("[ok] ready | Exo serves")
    assert not any(line.startswith("[ok]") for line in more)


def test_as_json_each_event_is_a_line(house: Service, capsys: pytest.CaptureFixture[str]) -> None:
    house.on(EVENTS, streamed("event: a\ndata: {}\n\n", ": keep-alive\n\n", 'data: {"b":1}\n\n'))
    assert house.main("top", "--json") == 0
    assert capsys.readouterr().out == '{}\n{"b":1}\n[DONE]\n'


def test_who_is_not_there_is_told_as_by_every_verb(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(handler: Handler) -> None:
        handler.close_connection = True

    service.on("GET /supervisor/nodes", refuses)
    assert service.main("top") == 69
    assert "the service did not answer" in capsys.readouterr().err
