"""All answers together hold no more than there is memory for, and none waits for another."""

import anyio
import pytest
from anyio.abc import SocketStream

from exo_supervisor.http.ask import Bounds, ask
from exo_supervisor.http.client import Client
from exo_supervisor.http.faults import HttpError, NetworkFault
from exo_supervisor.http.intake import SMALL_BYTES, Intake
from tests.http.serving import Talker, serving

LARGE = 4 * SMALL_BYTES


class Answer:
    """One that is not whole yet."""

    def __init__(self, intake: Intake) -> None:
        self._intake, self.held, self.given_up = intake, 0, False

    def read(self, size: int) -> None:
        self.held += size
        self._intake.count(self, size, self.held)

    def give_up(self) -> None:
        assert not self.given_up
        self.given_up = True


def test_the_answer_that_was_large_first_is_given_up_where_there_is_too_much() -> None:
    intake = Intake(3 * LARGE)
    answers = [Answer(intake) for _ in range(3)]
    for answer in answers:
        answer.read(SMALL_BYTES)
    for answer in (answers[1], answers[0], answers[2]):
        answer.read(LARGE - SMALL_BYTES)
    assert not any(answer.given_up for answer in answers), "there is room for just so much"
    answers[0].read(1)
    assert [answer.given_up for answer in answers] == [False, True, False]
    assert len(intake) == 2
    answers[2].read(2 * LARGE)
    assert [answer.given_up for answer in answers] == [True, True, False]


def test_an_answer_that_is_too_much_alone_is_given_up_itself() -> None:
    intake = Intake(LARGE)
    answer, next_one = Answer(intake), Answer(intake)
    answer.read(LARGE + 1)
    next_one.read(LARGE)
    assert (answer.given_up, next_one.given_up) == (True, False)


def test_what_is_released_makes_room_and_small_answers_take_none() -> None:
    intake = Intake(LARGE)
    for _ in range(5):
        answer = Answer(intake)
        answer.read(LARGE)
        intake.release(answer)
        intake.release(answer)
        Answer(intake).read(SMALL_BYTES)
        assert not answer.given_up
    assert len(intake) == 0
    assert intake.received == 5 * (LARGE + SMALL_BYTES)


@pytest.mark.real_time
async def test_servers_that_send_much_and_stall_hold_no_more_than_is_allowed() -> None:
    """The last that is asked is quick and large, and gets its answer whole."""

    async def stall(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + b"x" * LARGE)
        await anyio.sleep_forever()

    async def tell(stream: SocketStream) -> None:
        body = b"y" * LARGE
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE + body)
        await anyio.sleep_forever()

    intake, faults = Intake(4 * LARGE), list[HttpError]()

    async with (
        serving(Talker(stall)) as stalling,
        serving(Talker(tell)) as telling,
        Client(idle=3.0) as client,
        anyio.create_task_group() as tasks,
    ):

        async def read() -> None:
            try:
                await ask(client, "GET", stalling.url, seconds=600.0,
                          bounds=Bounds(9_000_000, intake))  # fmt: skip
            except HttpError as fault:
                faults.append(fault)

        for _ in range(10):
            tasks.start_soon(read)
        with anyio.fail_after(60):
            while intake.received < 10 * LARGE:
                await anyio.lowlevel.checkpoint()
            answer = await ask(client, "GET", telling.url, seconds=600.0,
                               bounds=Bounds(LARGE, intake))  # fmt: skip
        assert answer.body == b"y" * LARGE
        assert len(intake) == 3, "those that came last"
        tasks.cancel_scope.cancel()
    assert [fault.fault for fault in faults] == [NetworkFault.TIMEOUT] * 7
    assert len(intake) == 0
