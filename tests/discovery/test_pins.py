"""Pins outlast a restart, and another machine at a pinned address is told of."""

from ipaddress import IPv4Address
from math import inf

import anyio
import pytest
import trio

from exo_supervisor.core.events import Event, LinkSeen, NodeSighted
from exo_supervisor.core.fleet.trust import MAX_PINS
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.neighbours import Neighbour
from exo_supervisor.discovery.pins import Pins, PinWatch, decode_pins, encode_pins
from exo_supervisor.errors import NotOursError
from tests.runtime.fake_get import note

NODE, NAME = Address("10.0.0.7:52415"), Address("mac.local:52415")
ONE, OTHER = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
SEEN = "02:00:00:00:00:01"


class Watching:
    """A watch in virtual time; what the kernel knows of neighbours is `kernel`."""

    def __init__(self, pins: Pins = (), *, unwritable: bool = False) -> None:
        self.kernel: list[Neighbour] | None = []
        self.told: list[tuple[float, Event]] = []
        self.written: list[Pins] = []
        self._pins, self._unwritable = pins, unwritable

    async def write(self, content: bytes) -> None:
        if self._unwritable:
            raise PermissionError(13, "Permission denied")
        self.written.append(decode_pins(content))

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
                if callable(step):
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
