"""Pins outlast a restart, and another machine at a pinned address is told of."""

from ipaddress import IPv4Address
from math import inf

import anyio
import pytest
import trio
from structlog.testing import capture_logs

from exo_supervisor.core.events import Event, LinkSeen, NodeSighted
from exo_supervisor.core.fleet.trust import MAX_PINS
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.neighbours import Neighbour
from exo_supervisor.discovery.pins import KEPT_WITHIN, Pins, PinWatch, decode_pins, encode_pins
from exo_supervisor.errors import NotOursError
from tests.runtime.fake_get import note

NODE, NAME = Address("10.0.0.7:52415"), Address("mac.local:52415")
ONE, OTHER = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
SEEN = "02:00:00:00:00:01"


class Watching:
    """A watch in virtual time; what the kernel knows of neighbours is `kernel`."""

    def __init__(self, pins: Pins = (), *, unwritable: bool = False, takes: float = 0.0) -> None:
        self.kernel: list[Neighbour] | None = []
        self.told: list[tuple[float, Event]] = []
        self.written: list[Pins] = []
        self.kept: list[tuple[float, str | None]] = []
        self.unwritable, self._pins, self._takes = unwritable, pins, takes

    async def write(self, content: bytes) -> None:
        await anyio.sleep(self._takes)
        if self.unwritable:
            raise PermissionError(13, "Permission denied")
        self.written.append(decode_pins(content))

    async def ask(self) -> None:
        """Note what is said of the file, and when."""
        why = await self.watch.kept()
        self.kept.append((anyio.current_time(), why))

    def neighbours(self) -> list[Neighbour]:
        if self.kernel is None:
            raise OSError
        return self.kernel

    def is_at(self, mac: bytes) -> None:
        self.kernel = [Neighbour(1, IPv4Address("10.0.0.7"), mac)]

    async def during(self, *steps: "tuple[float, object]") -> list[Event]:
        """Watch, doing each step at its instant; return what was told."""
        send, inbox = anyio.create_memory_object_stream[Event](8)
        self.watch = PinWatch(send, self._pins, self.write, neighbours=self.neighbours)
        async with send, inbox, anyio.create_task_group() as tasks:
            tasks.start_soon(note, inbox, self.told)
            tasks.start_soon(self.watch.run)
            for seconds, step in steps:
                await anyio.sleep(seconds)
                if step == self.ask:
                    tasks.start_soon(self.ask)
                elif callable(step):
                    step()
            await anyio.sleep(3.0)
            tasks.cancel_scope.cancel()
        return [event for _, event in self.told]


async def test_each_pin_of_an_earlier_run_is_told_of_and_its_machine_once() -> None:
    watching = Watching(((NODE, SEEN), (NAME, None)))
    watching.is_at(ONE)
    assert await watching.during((10.0, None)) == [
        NodeSighted(node=NODE, url=f"http://{NODE}", source="pins"),
        NodeSighted(node=NAME, url=f"http://{NAME}", source="pins"),
        LinkSeen(node=NODE, link=SEEN),
    ]
    assert watching.written == []


async def test_another_machine_at_the_address_is_told_of_within_two_seconds() -> None:
    watching = Watching(((NODE, SEEN),))
    watching.is_at(ONE)
    told = await watching.during((5.0, lambda: watching.is_at(OTHER)))
    assert told[-1] == LinkSeen(node=NODE, link=OTHER.hex(":"))
    assert watching.told[-1][0] <= 7.0


async def test_without_a_pin_nothing_is_waited_for_but_one() -> None:
    watching = Watching()
    woken: list[float] = []

    def look() -> None:
        woken.append(trio.lowlevel.current_statistics().seconds_to_next_deadline)

    await watching.during((5.0, look), (0.0, lambda: watching.watch.keep(((NODE, None),))))
    assert woken == [inf]


async def test_a_kernel_that_tells_nothing_is_asked_again() -> None:
    watching = Watching(((NODE, None),))
    watching.kernel = None
    told = await watching.during((5.0, lambda: watching.is_at(ONE)))
    assert told[-1] == LinkSeen(node=NODE, link=SEEN)


async def test_new_pins_are_written_at_once_and_again_with_who_was_seen() -> None:
    watching = Watching()
    watching.is_at(ONE)
    first, then = ((NODE, None),), ((NODE, SEEN),)
    told = await watching.during(
        (1.0, lambda: watching.watch.keep(first)), (1.0, lambda: watching.watch.keep(then))
    )
    assert told == [LinkSeen(node=NODE, link=SEEN)]
    assert watching.written == [first, then]


async def test_pins_that_cannot_be_written_hold_until_the_end() -> None:
    watching = Watching(unwritable=True)
    watching.is_at(ONE)
    told = await watching.during((1.0, lambda: watching.watch.keep(((NODE, None),))))
    assert told == [LinkSeen(node=NODE, link=SEEN)]


async def test_who_asks_is_told_once_what_was_said_is_in_the_file() -> None:
    watching = Watching(takes=0.5)
    first, then = ((NODE, None),), ((NODE, SEEN),)
    await watching.during(
        (0.5, watching.ask),
        (0.5, lambda: watching.watch.keep(first)),
        (0.0, watching.ask),
        (0.2, lambda: watching.watch.keep(then)),  # while the first are on their way
        (0.0, watching.ask),
    )
    assert watching.kept == [(0.5, None), (2.0, None), (2.0, None)]
    assert watching.written == [first, then]


async def test_who_asks_is_told_why_it_is_not_kept_and_it_is_tried_anew() -> None:
    watching = Watching(unwritable=True)
    pins = ((NODE, None),)

    def heal() -> None:
        watching.unwritable = False

    with capture_logs() as lines:
        await watching.during(
            (1.0, lambda: watching.watch.keep(pins)), (0.0, watching.ask),
            (1.0, watching.ask), (0.1, heal), (0.0, watching.ask), (10.0, None),
        )  # fmt: skip
    why = "permission denied"
    assert watching.kept == [(1.0, why), (2.0, why), (pytest.approx(2.1), None)]
    assert watching.written == [pins]
    assert [(line["event"], line["why"]) for line in lines] == [("pins_unwritable", why)]


@pytest.mark.parametrize("pins", [(), ((NODE, None),)])
async def test_what_could_not_be_kept_is_once_it_can_be_though_nobody_asks(pins: Pins) -> None:
    watching = Watching(((NAME, None),), unwritable=True)

    def heal() -> None:
        watching.unwritable = False

    await watching.during((1.0, lambda: watching.watch.keep(pins)), (9.0, heal), (1.0, None))
    assert watching.written == [pins]


async def test_who_asks_does_not_wait_for_a_disk_that_hangs() -> None:
    watching = Watching(takes=600.0)
    await watching.during((1.0, lambda: watching.watch.keep(((NODE, None),))), (0.0, watching.ask))
    [(at, why)] = watching.kept
    assert at == 1.0 + KEPT_WITHIN
    assert why == f"it took longer than {KEPT_WITHIN:g} s"


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[" * 100_000, b"{}", b'{"version": 2, "pins": []}',
     b'{"version": 1, "pins": [{"address": 1}]}',
     encode_pins(((NODE, "x" * 18),)), encode_pins(((NODE, None),) * (MAX_PINS + 1))],
)  # fmt: skip
def test_what_is_not_ours_is_refused(content: bytes) -> None:
    with pytest.raises(NotOursError):
        decode_pins(content)


async def test_what_is_pinned_at_the_very_end_is_written_too() -> None:
    """The write that was begun is cut off when the service ends, and begins anew."""
    written: list[Pins] = []

    async def write(content: bytes) -> None:
        await anyio.sleep(1.0)
        written.append(decode_pins(content))

    send, inbox = anyio.create_memory_object_stream[Event](8)
    watch = PinWatch(send, (), write, neighbours=list)
    async with send, inbox, anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run)
        await anyio.sleep(0.1)
        watch.keep(((NODE, None),))
        await anyio.sleep(0.5)
        tasks.cancel_scope.cancel()
    assert written == [((NODE, None),)]
