"""A conversation on a real terminal: it remembers, forgets, changes its model, and ends."""

import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from select import select
from subprocess import Popen
from threading import Event

import pytest

from tests.cli.conftest import TIMEOUT, Handler, Service, delta, streamed, whole
from tests.cli.test_process import terminal

pytestmark = pytest.mark.real_time
CHAT = "POST /v1/chat/completions"
HEADERS = {"x-supervisor-target": "10.0.0.5:52415"}


class Person:
    """Somebody at the terminal."""

    def __init__(self, near: int, process: Popen[bytes]) -> None:
        self._near, self.process = near, process
        self._shown = b""

    def types(self, line: str) -> None:
        os.write(self._near, line.encode() + b"\n")

    def presses(self, key: bytes) -> None:
        os.write(self._near, key)

    def sees(self, wanted: str) -> str:
        """Read on until something stands there; return what came before it, and that."""
        while (end := self._shown.find(wanted.encode())) < 0:
            assert select([self._near], [], [], TIMEOUT)[0], self._shown
            self._shown += os.read(self._near, 65536)
        seen, self._shown = self._shown[: end + len(wanted)], self._shown[end + len(wanted) :]
        return seen.decode()


@contextmanager
def seated(service: Service, *flags: str) -> Generator[Person]:
    with terminal() as (near, far):
        process = service.start("chat", "-m", "m", *flags, stdin=far, stdout=far, stderr=far)
        person = Person(near, process)
        try:
            person.sees("Ctrl-D ends")
            person.sees("> ")
            yield person
        finally:
            process.kill()
            process.wait(TIMEOUT)


def told(service: Service) -> list[tuple[str, str]]:
    """List what the last request told, as (role, content)."""
    messages = json.loads(service.seen[-1].body)["messages"]
    return [(each["role"], each["content"]) for each in messages]


def test_what_was_said_is_remembered_until_it_is_reset(service: Service) -> None:
    service.on(CHAT, streamed(delta("The Rhine."), headers=HEADERS))
    with seated(service, "--system", "Be brief.") as person:
        person.types("A river?")
        person.sees("The Rhine.")
        person.sees("> ")
        person.types("Another?")
        person.sees("total")
        assert told(service) == [
            ("system", "Be brief."),
            ("user", "A river?"),
            ("assistant", "The Rhine."),
            ("user", "Another?"),
        ]
        person.sees("> ")
        person.types("/reset")
        person.sees("forgotten")
        person.types("A river?")
        person.sees("total")
        assert told(service) == [("system", "Be brief."), ("user", "A river?")]


def test_another_model_is_asked_from_then_on(service: Service) -> None:
    service.on(CHAT, streamed(delta("x"), headers=HEADERS))
    with seated(service) as person:
        person.types("/model other")
        person.sees("-- other")
        person.types("Hello")
        person.sees("total")
        assert json.loads(service.seen[-1].body)["model"] == "other"
        person.sees("> ")
        person.types("/what")
        assert "/reset forgets" in person.sees("Ctrl-D ends")
        person.types("/usr/bin is what?")
        person.sees("total")
        assert told(service)[-1] == ("user", "/usr/bin is what?")


@pytest.mark.parametrize("end", [b"\x04", b"/bye\n"])
def test_ctrl_d_ends_it_well(service: Service, end: bytes) -> None:
    with seated(service) as person:
        person.presses(end)
        assert person.process.wait(TIMEOUT) == 0
    assert service.seen == []


def test_lines_are_edited_as_in_a_shell(service: Service) -> None:
    """The line editor is readline: Ctrl-A goes to the front, Ctrl-P brings the last line back."""
    service.on(CHAT, streamed(delta("x"), headers=HEADERS))
    with seated(service) as person:
        person.presses(b"rivers\x01Name \n")
        person.sees("total")
        assert told(service)[-1] == ("user", "Name rivers")
        person.sees("> ")
        person.presses(b"\x10\n")
        person.sees("total")
        assert told(service)[-1] == ("user", "Name rivers")


def test_ctrl_c_cancels_the_answer_and_not_the_conversation(service: Service) -> None:
    cancelled = Event()

    def slow(handler: Handler) -> None:
        streamed(delta("The Rhine"), headers=HEADERS, done=False, cut=True)(handler)
        if handler.rfile.read(1) == b"":
            cancelled.set()

    service.on(CHAT, slow)
    with seated(service) as person:
        person.types("A river?")
        person.sees("The Rhine")
        person.process.send_signal(signal.SIGINT)
        person.sees("-- cancelled; the text above is not whole")
        assert cancelled.wait(TIMEOUT)
        service.on(CHAT, streamed(delta("Elbe"), headers=HEADERS))
        person.types("Another?")
        person.sees("total")
        assert told(service) == [("user", "Another?")]


def test_a_refusal_is_told_and_the_conversation_goes_on(service: Service) -> None:
    service.on(CHAT, whole({"error": {"message": "it is busy", "code": "overloaded"}}, 503))
    with seated(service) as person:
        person.types("A river?")
        assert "it is busy" in person.sees("503")
        service.on(CHAT, streamed(delta("Elbe"), headers=HEADERS))
        person.types("Another?")
        person.sees("total")
        assert told(service) == [("user", "Another?")]


def test_a_terminal_whose_output_goes_elsewhere_is_asked_for_one_line(service: Service) -> None:
    service.on(CHAT, streamed(delta("x"), headers=HEADERS))
    with terminal() as (near, far):
        process = service.start("chat", "-m", "m", stdin=far)
        os.write(near, b"A river?\n")
        out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (0, b"x\n")
    assert err.startswith(b"one line, then Enter:\n")
