"""A crashed service comes back, ever slower; an essential one that cannot is given up."""

from collections.abc import Callable, Iterator

import anyio
import pytest
from structlog.testing import capture_logs

from exo_supervisor.errors import RestartsSpentError
from exo_supervisor.runtime.restarts import Restarts
from exo_supervisor.runtime.supervise import describe_crash, supervise

SECRET = "sk-very-secret"


class Script:
    """A service whose every run does the next step of a script, noting when it began."""

    name = "script"

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps: Iterator[Callable[[], None]] = iter(steps)
        self.begun: list[float] = []

    async def run(self) -> None:
        self.begun.append(anyio.current_time())
        await anyio.lowlevel.checkpoint()
        next(self._steps)()


def crash() -> None:
    text = f"body was {SECRET}"
    raise ValueError(text)


def finish() -> None:
    """Return, which ends a service."""


async def test_a_service_that_returns_is_finished() -> None:
    service = Script(finish, crash)
    with capture_logs() as logs:
        await supervise(service, Restarts(essential=True))
    assert service.begun == [0.0]
    assert logs == []


async def test_pauses_grow_between_restarts() -> None:
    service = Script(crash, crash, crash, finish)
    with capture_logs() as logs:
        await supervise(service, Restarts(essential=True))
    assert service.begun == [0.0, 0.5, 1.5, 3.5]
    assert [line["restart_in"] for line in logs] == [0.5, 1.0, 2.0]


async def test_an_essential_service_is_given_up_at_the_sixth_crash() -> None:
    service = Script(*[crash] * 6, finish)
    with capture_logs() as logs, pytest.raises(RestartsSpentError, match="script") as given_up:
        await supervise(service, Restarts(essential=True))
    assert service.begun == [0.0, 0.5, 1.5, 3.5, 7.5, 12.5]
    assert logs[-1]["restart_in"] is None
    assert given_up.value.__cause__ is None
    assert given_up.value.__context__ is None, "its text would be printed with the traceback"


async def test_an_optional_service_goes_on_once_a_minute_and_says_so() -> None:
    service = Script(*[crash] * 8, finish)
    with capture_logs() as logs:
        await supervise(service, Restarts(essential=False))
    assert service.begun == [0.0, 0.5, 1.5, 3.5, 7.5, 12.5, 72.5, 132.5, 192.5]
    assert [line["degraded"] for line in logs] == [False] * 5 + [True] * 3
    assert {line["log_level"] for line in logs} == {"error"}


async def test_a_cancelled_service_is_not_restarted() -> None:
    service = Script(crash, crash)
    with capture_logs() as logs, anyio.move_on_after(0.2):
        await supervise(service, Restarts(essential=True))
    assert service.begun == [0.0]
    assert len(logs) == 1


async def test_the_log_says_what_and_where_but_not_the_text() -> None:
    with capture_logs() as logs:
        await supervise(Script(crash, finish), Restarts(essential=True))
    (line,) = logs
    assert (line["event"], line["service"]) == ("service_crashed", "script")
    (crashed,) = line["crash"]
    assert crashed.startswith("ValueError < ")
    assert ".crash:" in crashed.split(" < ")[1]
    assert SECRET not in repr(logs)


def test_groups_and_causes_are_described_without_their_texts() -> None:
    def fail() -> None:
        try:
            crash()
        except ValueError as cause:
            raise OSError(SECRET) from cause

    with pytest.raises(OSError, match=SECRET) as caught:
        fail()
    described = describe_crash(ExceptionGroup(SECRET, [caught.value, KeyError(SECRET)]))
    assert [line.split(" < ")[0] for line in described] == [
        "ExceptionGroup",
        "OSError",
        "KeyError",
        "ValueError",
    ]
    assert SECRET not in repr(described)


def test_a_deep_crash_is_described_by_its_innermost_frames() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            crash()
        dig(depth - 1)

    with pytest.raises(ValueError, match="body") as caught:
        dig(100)
    (line,) = describe_crash(caught.value)
    places = line.split(" < ")[1:]
    assert len(places) == 10
    assert ".crash:" in places[0]
    assert ".dig:" in places[1]
