"""A full room: whole requests, at a sixteenth of the usual sizes, none of which stands still."""

from itertools import repeat
from math import inf

import pytest

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.live import TICK
from exo_supervisor.serve.relay import AHEAD_PARTS, AHEAD_SECONDS, UNTOLD_BYTES
from exo_supervisor.serve.response import PIECE
from exo_supervisor.serve.room import (
    FREE_BYTES,
    GRANT_BYTES,
    MAX_ANSWERS_BYTES,
    RESERVE_BYTES,
    Room,
)
from exo_supervisor.serve.timers import SLOW_CLIENT
from exo_supervisor.wire.chat.whole_body import MAX_BODY_BYTES
from tests.serve.virtual import JSON, SSE, Browser, Call, House, start

SIXTEENTH = 16
LARGE = 15 * 2**20 // SIXTEENTH
PART = 64 * 2**10 // SIXTEENTH
ENOUGH = 60
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DRIP = b'data: {"choices":[{"index":0,"delta":{"content":"."}}]}\n\n'
"""Progress, and no room to speak of."""


def order(request: RequestId) -> StartAttempt:
    return start(request, generation=None)


def part(size: int) -> bytes:
    return DRIP.replace(b".", b"x" * size)


class Crowd:
    """Clients that ask for gathered answers, and targets that read on only while they are read."""

    def __init__(self, clients: int) -> None:
        room = Room(MAX_ANSWERS_BYTES // SIXTEENTH, RESERVE_BYTES // SIXTEENTH)
        self.house = House(*repeat(order, clients), room=room, max_requests=clients)
        self.clients = [self.house.chat(stream=False) for _ in range(clients)]
        self.most_held = 0
        for call in self.calls:
            call.says((200, SSE))

    @property
    def calls(self) -> list[Call]:
        return self.house.target.calls

    def send(self, call: Call, size: int, pace: float, *, drips: bool = False) -> None:
        """Have a target send so many bytes, a part each `pace` seconds; then its end, or drips."""
        later = self.house.loop.call_later

        def go_on(left: int) -> None:
            if call.end:
                return
            if call.paused:
                later(pace, lambda: go_on(left))
            elif left > 0:
                call.says(part(min(left, PART)))
                self.note()
                later(pace, lambda: go_on(left - PART))
            elif drips:
                call.says(DRIP)
                later(0.5, lambda: go_on(0))
            else:
                call.says(STOP)
                call.says(b"")

        later(pace, lambda: go_on(size))

    def note(self) -> None:
        """Note how much is held."""
        exchanges = (each.handler.exchange for each in self.clients if each.handler)
        attempts = (each.attempt for each in exchanges if each)
        readings = (each.relay.reading for each in attempts if each)
        held = sum(each.held - FREE_BYTES for each in readings if each and each.held > FREE_BYTES)
        self.most_held = max(self.most_held, held)

    def run(self, seconds: float) -> None:
        self.house.loop.run(seconds)


def served(clients: list[Browser]) -> int:
    return sum((each.status, each.end) == (200, "whole") for each in clients)


def test_sixty_large_answers_at_once_are_all_served_and_never_hold_more_than_there_is() -> None:
    """All of them together are 900 MiB at full size; each began, and none could have ended."""
    crowd = Crowd(ENOUGH)
    for call in crowd.calls:
        crowd.send(call, LARGE, 0.001)
    crowd.run(19.0)
    assert served(crowd.clients) == ENOUGH
    assert all(len(each.body) > LARGE for each in crowd.clients), "no answer is cut"
    assert any(call.pauses for call in crowd.calls)
    most = MAX_ANSWERS_BYTES // SIXTEENTH
    assert most / 2 < crowd.most_held <= most + ENOUGH * PART, "one read each is more than asked"
    crowd.house.check_empty()


def test_an_answer_that_says_how_long_it_is_has_room_for_all_of_it_or_reads_no_further() -> None:
    size = 4 * GRANT_BYTES
    said = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}' % (b"x" * size)
    head = {**JSON, "content-length": str(len(said))}
    room = Room(11 * GRANT_BYTES, reserve=5 * GRANT_BYTES)
    house = House(*repeat(order, 3), room=room)
    clients = [house.chat(stream=False) for _ in range(3)]
    for call in house.target.calls:
        call.says((200, head))
        call.says(said[: FREE_BYTES + 1])
    assert [call.paused for call in house.target.calls] == [False, False, True]
    for call in house.target.calls[:2]:
        for at in range(FREE_BYTES + 1, len(said), FREE_BYTES):
            call.says(said[at : at + FREE_BYTES])
        assert not call.pauses
        call.says(b"")
    assert served(clients) == 2
    house.loop.run(1.0)
    third = house.target.calls[2]
    assert not third.paused
    third.says(said[FREE_BYTES + 1 :])
    third.says(b"")
    assert served(clients) == 3
    house.check_empty()


def test_a_length_of_more_zeros_than_python_reads_is_a_length() -> None:
    text = b"x" * FREE_BYTES
    said = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}' % text
    house = House(order)
    client = house.chat(stream=False)
    [call] = house.target.calls
    call.says((200, {**JSON, "content-length": f"{len(said):04400}"}))
    call.says(said)
    call.says(b"")
    assert (served([client]), text in client.body) == (1, True)
    house.check_empty()


@pytest.mark.parametrize("comes", [0, 1])
def test_room_that_was_asked_for_ahead_and_stands_empty_is_given_back_for_good(comes: int) -> None:
    """A length says what will come; of a target that lies, or is slow, it says nothing."""
    size = FREE_BYTES + 4 * GRANT_BYTES
    head = {**JSON, "content-length": str(size)}
    room = Room(10 * GRANT_BYTES, reserve=5 * GRANT_BYTES)
    house = House(*repeat(order, 3), room=room)
    for _ in range(3):
        house.chat(stream=False)
    slow, steady, other = house.target.calls
    for call in (slow, steady):
        call.says((200, head))
        call.says(b"{" + b" " * FREE_BYTES)
    other.says((200, SSE))
    other.says(part(FREE_BYTES + 2 * GRANT_BYTES))
    house.loop.run(TICK)
    for _ in range(4):
        assert [call.paused for call in house.target.calls] == [False, False, True]
        slow.says(b" " * (size // AHEAD_PARTS - 1 + comes))
        steady.says(b" " * (size // AHEAD_PARTS))
        house.loop.run(AHEAD_SECONDS)
        if not comes:
            break
    assert other.paused is bool(comes)
    if comes:
        return
    assert room.left == 2 * GRANT_BYTES, "the slow one has a step, and the other three"
    slow.says(b" ")
    assert room.left == 2 * GRANT_BYTES, "it asks for what came, from now on"
    slow.says(b" " * GRANT_BYTES)
    assert room.left == GRANT_BYTES
    house.loop.run(AHEAD_SECONDS)
    assert room.left == 4 * GRANT_BYTES, "nor does the steady one hold more, once it brings nothing"


def test_who_waits_for_the_room_that_it_asked_for_ahead_has_its_time_from_then_on() -> None:
    text = b"x" * (4 * GRANT_BYTES - FREE_BYTES)
    said = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}' % text
    head = {**JSON, "content-length": str(len(said))}
    house = House(*repeat(order, 2), room=Room(4 * GRANT_BYTES, reserve=4 * GRANT_BYTES))
    clients = [house.chat(stream=False) for _ in range(2)]
    first, second = house.target.calls
    for call in (first, second):
        call.says((200, head))
        call.says(said[: FREE_BYTES + 1])
    for at in range(FREE_BYTES + 1, len(said), GRANT_BYTES):
        assert second.paused
        house.loop.run(AHEAD_SECONDS - TICK)
        first.says(said[at : at + GRANT_BYTES])
    first.says(b"")
    assert served(clients) == 1
    assert not second.paused
    house.loop.run(AHEAD_SECONDS - TICK)
    assert house.room.left == 0, "all that it will take"
    house.loop.run(2 * TICK)
    assert house.room.left == 3 * GRANT_BYTES


def test_one_that_does_not_say_it_asks_for_the_most_once_it_is_large() -> None:
    house = House(order, order, room=Room(MAX_BODY_BYTES + 2**20, reserve=MAX_BODY_BYTES))
    house.chat(stream=False)
    house.chat(stream=False)
    first, second = house.target.calls
    for call in (first, second):
        call.says((200, JSON))
        call.says(b"{" + b" " * UNTOLD_BYTES)
    assert not first.paused
    assert second.paused
    first.says(b" " * (MAX_BODY_BYTES - UNTOLD_BYTES - 1))
    assert not first.pauses


def test_small_answers_do_not_wait_for_large_ones() -> None:
    crowd = Crowd(2 * ENOUGH + 1)
    large, small = crowd.calls[: ENOUGH + 1], crowd.calls[ENOUGH + 1 :]
    for call in large:
        crowd.send(call, LARGE, 0.001, drips=True)
    crowd.run(1.0)
    assert len(crowd.house.room), "the room is full"
    for call in small:
        crowd.send(call, FREE_BYTES // 2, 0.001)
    crowd.run(1.0)
    assert served(crowd.clients[ENOUGH + 1 :]) == ENOUGH
    assert not any(call.pauses for call in small)


def test_beside_a_huge_answer_sixty_that_need_a_little_room_do_not_wait() -> None:
    crowd = Crowd(ENOUGH + 1)
    huge, *others = crowd.calls
    crowd.send(huge, RESERVE_BYTES // SIXTEENTH - 2 * FREE_BYTES, 0.001, drips=True)
    crowd.run(10.0)
    for call in others:
        crowd.send(call, 2 * FREE_BYTES, 0.001)
    crowd.run(1.0)
    assert served(crowd.clients[1:]) == ENOUGH
    assert not any(call.pauses for call in others)


def test_a_target_that_drips_keeps_the_others_waiting_for_seconds_and_no_more() -> None:
    """It is the one with the turn: the room was full when it needed more."""
    crowd = Crowd(ENOUGH)
    dripping, *others = crowd.calls
    crowd.send(dripping, LARGE, 0.0005, drips=True)
    for call in others:
        crowd.send(call, LARGE, 0.001)
    crowd.run(19.0)
    assert served(crowd.clients[1:]) == ENOUGH - 1
    assert not crowd.clients[0].end
    crowd.run(900.0)
    assert crowd.clients[0].status == 504
    assert [each.failure.fault for each in crowd.house.settled()][-1] is Fault.DEADLINE
    crowd.house.check_empty()


@pytest.mark.parametrize("who", [slice(0, 40), slice(20, 60), slice(0, 60, 2)])
def test_clients_that_leave_give_their_room_to_those_who_wait(who: slice) -> None:
    crowd = Crowd(ENOUGH)
    for call in crowd.calls:
        crowd.send(call, LARGE, 0.001, drips=True)
    crowd.run(1.0)
    waiting = len(crowd.house.room)
    assert waiting > ENOUGH / 2
    for client in crowd.clients[who]:
        assert client.handler is not None
        client.handler.gone()
    crowd.run(1.0)
    assert len(crowd.house.room) < waiting / 2
    for client in crowd.clients:  # as a drain ends
        if client.handler is not None and not client.end:
            client.handler.gone()
    crowd.house.check_empty()


@pytest.mark.parametrize("more", [0, 1])
def test_an_answer_that_would_take_more_than_the_reserve_is_too_large(more: int) -> None:
    """Only so can whoever has the turn go on to its end."""
    most = FREE_BYTES + GRANT_BYTES
    room = Room(2 * most, reserve=most)
    house = House(order, room=room)
    client = house.chat()
    (call,) = house.target.calls
    event = part(most)[: most + more]
    for said in ((200, SSE), DRIP, event, part(most)[len(event) :] + STOP, b""):
        if not call.end:
            call.says(said)
    (settled,) = house.settled()
    if more:
        assert (settled.failure.fault, client.end) == (Fault.OVERSIZED, "cut")
    else:
        assert (settled.failure.fault, client.end) == (Fault.NONE, "whole")
    house.check_empty()


def held_back(request: RequestId) -> StartAttempt:
    return start(request, generation=None, hold=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("unread", [10.0, inf])
def test_an_answer_takes_room_until_its_client_has_read_it(unread: float, *, stream: bool) -> None:
    size = 4 * PIECE
    room = Room(2 * size, reserve=2 * size)
    house = House(held_back, order, room=room)
    slow, other = house.chat(stream=stream, blocks={0: unread}), house.chat(stream=False)
    read, waiting = house.target.calls
    for said in ((200, SSE), part(size), STOP + b"data: [DONE]\n\n"):
        read.says(said)
    assert (read.end, slow.end) == ("left", "")
    assert size - FREE_BYTES <= room.most - room.left <= size + GRANT_BYTES

    waiting.says((200, SSE))
    waiting.says(part(size + FREE_BYTES + GRANT_BYTES))
    assert waiting.paused, "there is no room beside what the first client has not read"
    house.loop.run(15.0)
    if unread < SLOW_CLIENT:
        assert slow.end == "whole"
        assert not waiting.paused
        waiting.says(STOP)
        waiting.says(b"")
        assert other.end == "whole"
    else:
        house.loop.run(SLOW_CLIENT)
        assert (slow.end, other.status, waiting.end) == ("abort", 502, "closed")
    house.check_empty()


def test_who_leaves_while_its_whole_answer_goes_out_gives_the_room_back() -> None:
    house = House(order)
    client = house.chat(stream=False, blocks={0: inf})
    (call,) = house.target.calls
    for said in ((200, SSE), part(4 * PIECE), STOP, b""):
        call.says(said)
    assert house.room.left < house.room.most
    assert client.handler is not None
    client.handler.gone()
    house.check_empty()
