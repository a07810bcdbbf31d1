"""A relay carries an answer whole, and ends it exactly when its timers say so."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from math import inf

import anyio
import anyio.lowlevel
import pytest
import trio
from msgspec import structs
from trio.testing import MockClock

from exo_supervisor.core.effects import CancelAttempt, KeepAwake, StartAttempt, Timers
from exo_supervisor.core.events import AttemptQuieted, ContentSeen, Event
from exo_supervisor.core.names import Address, Generation, ModelId, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.errors import SupervisorError
from exo_supervisor.serve.mailbox import Mailbox
from exo_supervisor.serve.relay import KEEP_ALIVE, SLOW_CLIENT, STEP, Bounds, Relay
from exo_supervisor.serve.response import ClientLeftError
from exo_supervisor.serve.room import FREE_BYTES, GRANT_BYTES, Room, Share
from exo_supervisor.serve.upstream import UpstreamError
from exo_supervisor.wire.openai.answer_writer import Aggregate
from exo_supervisor.wire.openai.json_body import Whole
from exo_supervisor.wire.openai.stream_writer import DONE, Answer

REQUEST = RequestId("r")
TIMERS = Timers(connect=2.0, headers=8.0, first_content=30.0, first_content_max=300.0, stall=20.0)
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
ERROR = b'data: {"error":{"message":"boom","type":"server_error"}}\n\n'
END = b""
EVERY: tuple[Generation | None, ...] = ("A", "B", "C", None)
HARD: tuple[Generation | None, ...] = ("A", None)
PATIENT: tuple[Generation | None, ...] = ("B", "C")

Step = tuple[float, bytes | Fault]


def text(content: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % content.encode()


def prefill(tokens: int) -> bytes:
    return b': prefill_progress {"PrefillProgressChunk":{"processed_tokens":%d}}\n\n' % tokens


class Script:
    """An upstream that says each thing so many seconds after the one before, then is silent."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = list(steps)
        self._said_at = anyio.current_time()
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        if not self._steps:
            await anyio.sleep_forever()
        wait, said = self._steps[0]
        due = self._said_at + wait
        await anyio.sleep_until(due)
        self._steps.pop(0)
        self._said_at = due
        if isinstance(said, Fault):
            raise UpstreamError(said)
        return said


@dataclass
class Client:
    """A client that streams; `blocks` tells how long the nth write stays unread."""

    blocks: dict[int, float] = field(default_factory=dict[int, float])
    begun: int = 0
    ends: int = 0
    got: list[bytes] = field(default_factory=list[bytes])
    free_at: float = 0.0
    gone: bool = False

    async def begin(self) -> None:
        assert not self.got, "the head comes first"
        self.begun += 1
        await anyio.lowlevel.checkpoint()

    async def write(self, data: bytes) -> None:
        assert self.begun == 1, "nothing is written before the commit"
        if self.gone:
            raise ClientLeftError
        self.free_at = anyio.current_time() + self.blocks.get(len(self.got), 0.0)
        self.got.append(data)
        await self.drain()

    async def finish(self, data: bytes) -> None:
        self.ends += 1
        await self.write(data)

    async def drain(self) -> None:
        if self.free_at > anyio.current_time():
            await anyio.sleep_until(self.free_at)


@dataclass
class Ride:
    """What came of one attempt, `at` so many seconds after it began."""

    fault: Fault
    at: float
    relay: Relay
    client: Client
    events: list[tuple[float, Event]]
    reads: int

    @property
    def quiets(self) -> list[tuple[float, float, bool]]:
        told = ((at, event) for at, event in self.events if isinstance(event, AttemptQuieted))
        return [(at, event.silence, event.begun) for at, event in told]

    @property
    def seen(self) -> list[float]:
        return [event.ttft for _, event in self.events if isinstance(event, ContentSeen)]


Meanwhile = Callable[[Mailbox, float], Coroutine[None, None, None]]


async def ride(  # noqa: PLR0913 - each of these can be what a test is about
    *steps: Step,
    generation: Generation | None = "C",
    client: Client | None = None,
    until: float = 900.0,
    limit: float = inf,
    stream: bool = True,
    json: bool = False,
    hold: bool = False,
    timers: Timers = TIMERS,
    upstream: Callable[[], Script] | None = None,
    meanwhile: Meanwhile | None = None,
    share: Share | None = None,
) -> Ride:
    """Make one attempt; every figure is in seconds after its beginning."""
    began = anyio.current_time()
    client = client or Client()
    mailbox = Mailbox()
    start = StartAttempt(
        request=REQUEST,
        attempt=2,
        target=Address("n:1"),
        url="http://n:1",
        model=ModelId("m"),
        generation=generation,
        timers=timers,
        shift=None,
        hold=hold,
    )
    mailbox.put(start)
    await mailbox.take()
    kind = Answer if stream else Aggregate
    reading = kind(id="ours", created=7, generation=generation, include_usage=False)
    events: list[tuple[float, Event]] = []

    def ask(event: Event) -> None:
        events.append((anyio.current_time() - began, event))

    relay = Relay(
        start,
        reading,
        client if stream else None,
        mailbox,
        ask,
        Bounds(began, began + until, began + limit, share=share),
    )
    script = Script(steps) if upstream is None else upstream()
    end: Fault | SupervisorError = Fault.NONE
    at = 0.0
    async with anyio.create_task_group() as tasks:
        if meanwhile is not None:
            tasks.start_soon(meanwhile, mailbox, began)
        try:
            end = await relay.carry(script, Whole(reading) if json else reading)
        except SupervisorError as error:
            end = error
        at = anyio.current_time() - began
        tasks.cancel_scope.cancel()
    if isinstance(end, SupervisorError):
        raise end
    return Ride(end, at, relay, client, events, script.reads)


def cancels(attempt: int, at: float) -> Meanwhile:
    async def cancel(mailbox: Mailbox, began: float) -> None:
        await anyio.sleep_until(began + at)
        mailbox.cancel(CancelAttempt(request=REQUEST, attempt=attempt, fault=Fault.STATE_LOST))

    return cancel


# What is carried


async def test_a_whole_answer_is_carried_one_write_a_read_and_committed_once() -> None:
    told = await ride(
        (1.0, ROLE), (1.0, text("a") + text("b")), (1.0, text("c")), (1.0, STOP + DONE)
    )
    assert (told.fault, told.at) == (Fault.NONE, 4.0)
    assert told.client.begun == 1
    assert [data.count(b"data: ") for data in told.client.got] == [2, 1, 2]
    assert told.client.got[-1].endswith(DONE)
    assert told.seen == [2.0]
    assert told.relay.committed
    assert told.relay.ttft == 2.0


async def test_a_clean_end_without_done_gets_its_tail() -> None:
    told = await ride((1.0, text("a") + STOP), (1.0, END))
    assert (told.fault, told.at) == (Fault.NONE, 2.0)
    assert told.client.got[-1] == DONE


async def test_an_end_is_an_end_even_if_more_would_come() -> None:
    told = await ride((1.0, text("a") + STOP + DONE), (1.0, Fault.RESET))
    assert (told.fault, told.reads) == (Fault.NONE, 1)


async def test_a_client_that_does_not_stream_commits_nothing() -> None:
    told = await ride((1.0, text("a")), (1.0, STOP + DONE), stream=False)
    assert (told.fault, told.seen) == (Fault.NONE, [1.0])
    assert not told.relay.committed
    assert told.client.begun == 0


async def test_a_fault_in_the_read_of_the_first_content_commits_nothing() -> None:
    told = await ride((1.0, text("a") + ERROR))
    assert (told.fault, told.at) == (Fault.ERROR_EVENT, 1.0)
    assert (told.client.begun, told.client.got, told.seen) == (0, [], [])
    assert not told.relay.committed


async def test_content_before_a_fault_in_one_read_is_written_first_once_committed() -> None:
    told = await ride((1.0, text("a")), (1.0, text("b") + ERROR))
    assert told.fault is Fault.ERROR_EVENT
    assert [b'"b"' in data for data in told.client.got] == [False, True]


async def test_an_empty_answer_is_a_fault_and_no_commit() -> None:
    told = await ride((1.0, ROLE), (1.0, STOP + DONE))
    assert (told.fault, told.client.begun, told.seen) == (Fault.EMPTY, 0, [])


async def test_an_upstream_that_breaks_is_raised_and_a_client_that_leaves_too() -> None:
    with pytest.raises(UpstreamError) as caught:
        await ride((1.0, text("a")), (1.0, Fault.RESET))
    assert caught.value.fault is Fault.RESET
    with pytest.raises(ClientLeftError):
        await ride((1.0, text("a")), client=Client(gone=True))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}', Fault.NONE),
        (
            b'{"error":"","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}',
            Fault.ERROR_EVENT,
        ),
        (b'{"error":null}', Fault.EMPTY),
        (b'{"error":{}}', Fault.ERROR_EVENT),
        (b'{"error":"boom"}', Fault.ERROR_EVENT),
        (b"", Fault.EMPTY),
        (b"{", Fault.PAYLOAD),
    ],
)
async def test_one_json_object_in_place_of_a_stream_is_whole_or_a_fault(
    body: bytes, fault: Fault
) -> None:
    halves = ((1.0, body[:9]), (1.0, body[9:])) if body else ()
    told = await ride(*halves, (1.0, END), json=True)
    assert told.fault is fault
    assert told.client.begun == (fault is Fault.NONE)


# First content


@pytest.mark.parametrize("generation", HARD)
async def test_first_content_is_hard_where_no_progress_can_be_seen(
    generation: Generation | None,
) -> None:
    """Generation A and clouds: whatever comes before the content buys no time."""
    told = await ride(
        (10.0, ROLE), (10.0, KEEP_ALIVE), (5.0, prefill(5)), (4.0, ROLE), generation=generation
    )
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, 30.0)


@pytest.mark.parametrize("generation", PATIENT)
async def test_a_silent_prefill_has_the_longest_time_as_long_as_nobody_objects(
    generation: Generation | None,
) -> None:
    told = await ride((1.0, ROLE), *[(1.0, KEEP_ALIVE)] * 290, generation=generation)
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, 300.0)


async def test_a_prefill_that_moves_has_all_the_time_of_its_request() -> None:
    moves = [(29.0, prefill(n * STEP)) for n in range(1, 20)]
    well = await ride(*moves, (29.0, text("a")), (1.0, STOP + DONE))
    assert (well.fault, well.seen) == (Fault.NONE, [580.0])
    endless = await ride(*[(29.0, prefill(n * STEP)) for n in range(1, 99)])
    assert (endless.fault, endless.at) == (Fault.DEADLINE, 900.0)


async def test_a_prefill_that_stands_still_fails_first_content_after_its_last_move() -> None:
    told = await ride(
        (10.0, prefill(STEP)), (10.0, prefill(2 * STEP)), (9.0, prefill(2 * STEP)),
        (9.0, prefill(2 * STEP)), (9.0, KEEP_ALIVE), (2.9, ROLE), (1.0, text("late")),
    )  # fmt: skip
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, 50.0)
    assert told.client.begun == 0


async def test_a_first_step_that_has_told_nothing_yet_is_no_prefill_that_stands_still() -> None:
    """Exo tells `0/N` at once, reads 4,096 tokens, and is silent however long that takes."""
    told = await ride(
        (0.2, prefill(0)), *[(10.0, KEEP_ALIVE)] * 13, (7.0, prefill(STEP)), (9.0, text("a")),
        (1.0, STOP + DONE),
    )  # fmt: skip
    assert (told.fault, told.seen) == (Fault.NONE, [146.2])
    assert [silence for _, silence, _ in told.quiets] == [10.0 * n for n in range(1, 14)]


@pytest.mark.parametrize(
    ("steps", "at"),
    [
        pytest.param(((60.0, STEP),), 60.0 + 180.0, id="its pace says how long the next takes"),
        pytest.param(((60.0, STEP // 2),), 60.0 + 300.0, id="no more than the longest"),
        pytest.param(((90.0, STEP), (20.0, 2 * STEP)), 110.0 + 60.0, id="the last one counts"),
        pytest.param(((1.0, STEP),), 1.0 + 30.0, id="no less than a first content has"),
    ],
)
async def test_a_step_may_take_three_times_as_long_as_the_one_before(
    steps: tuple[tuple[float, int], ...], at: float
) -> None:
    told = await ride(*[(wait, prefill(tokens)) for wait, tokens in steps])
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, at)


# Stall


@pytest.mark.parametrize("generation", HARD)
async def test_a_stall_is_exactly_that_long_after_the_last_progress(
    generation: Generation | None,
) -> None:
    told = await ride((1.0, text("a")), (19.5, text("b")), (5.0, KEEP_ALIVE), generation=generation)
    assert (told.fault, told.at) == (Fault.STALL, 40.5)
    assert len(told.client.got) == 2


@pytest.mark.parametrize("generation", PATIENT)
async def test_a_silence_in_the_midst_has_the_longest_time_as_long_as_nobody_objects(
    generation: Generation | None,
) -> None:
    """A call of a tool is written in silence, and then sent whole."""
    call = [(1.0, text("a")), (250.0, text("b")), (1.0, STOP + DONE)]
    well = await ride(*call, generation=generation)
    assert (well.fault, well.at) == (Fault.NONE, 252.0)
    told = await ride((1.0, text("a")), generation=generation)
    assert (told.fault, told.at) == (Fault.STALL, 301.0)


async def test_an_event_with_empty_content_is_progress() -> None:
    """Exo sends those inside a character of several bytes."""
    told = await ride((1.0, text("a")), *[(19.0, text(""))] * 5, (19.0, STOP + DONE))
    assert (told.fault, told.at) == (Fault.NONE, 115.0)


async def test_keepalives_and_nonsense_are_no_progress() -> None:
    noise = [(1.0, KEEP_ALIVE), (1.0, b"data: {broken\n\n"), (1.0, b"data: {}\n\n")] * 10
    told = await ride((1.0, text("a")), *noise, generation=None)
    assert (told.fault, told.at) == (Fault.STALL, 21.0)


@pytest.mark.parametrize("generation", HARD)
async def test_a_stall_counts_from_the_first_words_though_the_first_content_had_more_time(
    generation: Generation | None,
) -> None:
    told = await ride((1.0, text("a")), generation=generation)
    assert (told.fault, told.at) == (Fault.STALL, 21.0)


# Quiet


async def test_silence_is_told_at_half_a_stall_and_then_each_ten_seconds() -> None:
    told = await ride((1.0, text("a")), (4.0, text("b")), (36.0, STOP + DONE))
    assert told.quiets == [(15.0, 10.0, True), (25.0, 20.0, True), (35.0, 30.0, True)]
    again = await ride((1.0, text("a")), (12.0, text("b")), (12.0, STOP + DONE))
    assert again.quiets == [(11.0, 10.0, True), (23.0, 10.0, True)]


async def test_generation_a_has_a_state_and_all_the_same_a_stall() -> None:
    told = await ride((1.0, text("a")), (4.0, text("b")), generation="A")
    assert told.quiets == [(15.0, 10.0, True)]
    assert (told.fault, told.at) == (Fault.STALL, 25.0)


async def test_silence_is_also_told_when_nobody_has_to_vouch_for_it_any_more() -> None:
    odd = structs.replace(TIMERS, stall=26.0, first_content=31.0)
    told = await ride((60.0, text("a")), (60.0, STOP + DONE), timers=odd)
    assert [(silence, begun) for _, silence, begun in told.quiets] == [
        (13.0, False), (23.0, False), (31.0, False), (41.0, False), (51.0, False),
        (13.0, True), (23.0, True), (26.0, True), (36.0, True), (46.0, True), (56.0, True),
    ]  # fmt: skip


async def test_silence_is_told_sooner_where_the_first_content_was_expected_sooner() -> None:
    quick = structs.replace(TIMERS, quiet=3.0)
    told = await ride((15.0, text("a")), (15.0, STOP + DONE), timers=quick)
    assert told.quiets == [(3.0, 3.0, False), (13.0, 13.0, False), (25.0, 10.0, True)]
    late = await ride((15.0, text("a")), timers=structs.replace(TIMERS, quiet=25.0), until=14.0)
    assert late.quiets == [(10.0, 10.0, False)]


# What is vouched for


def vouches(*at: float, attempt: int = 2) -> Meanwhile:
    async def vouch(mailbox: Mailbox, began: float) -> None:
        for moment in at:
            await anyio.sleep_until(began + moment)
            mailbox.vouch(KeepAwake(request=REQUEST, attempt=attempt))

    return vouch


async def test_a_client_in_the_middle_of_its_answer_is_kept_awake_while_it_is_vouched_for() -> None:
    told = await ride(
        (1.0, text("a")), (40.0, text("b")), (1.0, STOP + DONE), meanwhile=vouches(11.5, 21.5)
    )
    assert (told.fault, told.at) == (Fault.NONE, 42.0)
    assert [data == KEEP_ALIVE for data in told.client.got] == [False, True, True, False, False]
    assert [silence for _, silence, _ in told.quiets] == [10.0, 20.0, 30.0, 40.0]


@pytest.mark.parametrize(
    ("stream", "hold"),
    [
        pytest.param(False, False, id="a client that gets it whole"),
        pytest.param(True, True, id="an answer that is held"),
    ],
)
async def test_who_has_no_part_of_the_answer_yet_is_kept_awake_elsewhere(
    *, stream: bool, hold: bool
) -> None:
    told = await ride(
        (1.0, text("a")), (20.0, STOP + DONE), meanwhile=vouches(5.0), stream=stream, hold=hold
    )
    assert told.fault is Fault.NONE
    assert KEEP_ALIVE not in told.client.got


async def test_what_is_vouched_for_of_another_attempt_wakes_nobody() -> None:
    told = await ride((1.0, text("a")), (20.0, STOP + DONE), meanwhile=vouches(5.0, attempt=1))
    assert KEEP_ALIVE not in told.client.got


async def test_a_client_that_is_behind_is_kept_awake_once_it_has_read() -> None:
    told = await ride(
        (1.0, text("a")), (60.0, STOP + DONE), client=Client(blocks={0: 25.0}),
        meanwhile=vouches(10.0),
    )  # fmt: skip
    assert told.fault is Fault.NONE
    assert told.client.got.count(KEEP_ALIVE) == 1


# A process that stood still


class Woken(Script):
    """An upstream in the midst of whose answer the process stood still for an hour.

    What came meanwhile is seen by the first read after it.
    """

    def __init__(self, *said: bytes, missed: bytes) -> None:
        super().__init__(tuple((1.0, data) for data in said))
        self._missed, self._stood = missed, False

    async def read(self) -> bytes:
        if self._steps:
            return await super().read()
        if not self._stood:
            self._stood = True
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, MockClock)
            clock.jump(3600.0)
        elif self._missed:
            data, self._missed = self._missed, b""
            return data
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.parametrize("generation", EVERY)
@pytest.mark.parametrize("begun", [False, True])
async def test_what_came_while_the_process_stood_still_is_read_before_a_timer_judges(
    generation: Generation | None, *, begun: bool
) -> None:
    said = (text("a"),) if begun else ()
    woken = partial(Woken, *said, missed=text("b") + STOP + DONE)
    told = await ride(generation=generation, upstream=woken, limit=3000.0)
    assert told.fault is Fault.NONE
    assert b"".join(told.client.got).endswith(DONE)


@pytest.mark.parametrize("missed", [b"", KEEP_ALIVE])
async def test_who_said_nothing_while_the_process_stood_still_is_judged(missed: bytes) -> None:
    woken = partial(Woken, text("a"), missed=missed)
    told = await ride(generation=None, upstream=woken)
    assert (told.fault, told.at) == (Fault.STALL, 3601.0)


async def test_silence_before_content_is_told_again_and_again() -> None:
    told = await ride((4.0, prefill(1)), (27.0, prefill(2)), (5.0, text("a")), (1.0, STOP + DONE))
    assert told.quiets == [(14.0, 10.0, False), (24.0, 20.0, False)]
    assert told.fault is Fault.NONE


async def test_a_cloud_has_no_state_that_could_be_asked() -> None:
    told = await ride((1.0, text("a")), generation=None)
    assert (told.fault, told.quiets) == (Fault.STALL, [])


# Cancels


@pytest.mark.parametrize(
    "steps",
    [(), ((1.0, prefill(1)),), ((1.0, text("a")),), ((1.0, text("a")), (1.0, text("b")))],
)
async def test_a_cancel_ends_the_attempt_at_once(steps: tuple[Step, ...]) -> None:
    told = await ride(*steps, meanwhile=cancels(2, 3.25))
    assert (told.fault, told.at) == (Fault.STATE_LOST, 3.25)


async def test_a_cancel_before_the_first_read_reads_nothing() -> None:
    mailbox_was_told: list[float] = []

    class Told(Script):
        async def read(self) -> bytes:
            mailbox_was_told.append(anyio.current_time())
            return await super().read()

    mailbox = Mailbox()
    start = StartAttempt(
        request=REQUEST, attempt=1, target=Address("n:1"), url="", model=ModelId("m"),
        generation="C", timers=TIMERS, shift=None,
    )  # fmt: skip
    mailbox.put(start)
    await mailbox.take()
    mailbox.cancel(CancelAttempt(request=REQUEST, attempt=1, fault=Fault.STATE_LOST))
    reading = Answer(id="i", created=0, generation="C", include_usage=False)
    relay = Relay(start, reading, Client(), mailbox, lambda _: None, Bounds(0.0, inf))
    assert await relay.carry(Told(()), reading) is Fault.STATE_LOST
    assert mailbox_was_told == []


@pytest.mark.parametrize(("content", "fault"), [(True, Fault.UNFINISHED), (False, Fault.EMPTY)])
async def test_an_end_that_nobody_judged_is_no_success(*, content: bool, fault: Fault) -> None:
    class Mute:
        held = 0

        def feed(self, data: bytes) -> bytes:
            return data

        def close(self) -> bytes:
            return b""

    start = StartAttempt(
        request=REQUEST, attempt=1, target=Address("n:1"), url="", model=ModelId("m"),
        generation="C", timers=TIMERS, shift=None,
    )  # fmt: skip
    reading = Answer(id="i", created=0, generation="C", include_usage=False)
    reading.content = content
    relay = Relay(start, reading, Client(), Mailbox(), lambda _: None, Bounds(0.0, inf))
    assert await relay.carry(Script(((0.0, END),)), Mute()) is fault
    assert reading.message == "the answer ended without an end"


async def test_a_cancel_reaches_an_attempt_whose_client_reads_nothing() -> None:
    client = Client(blocks={0: 50.0})
    told = await ride((1.0, text("a")), client=client, meanwhile=cancels(2, 30.0))
    assert (told.fault, told.at) == (Fault.STATE_LOST, 30.0)


async def test_a_late_cancel_of_an_older_attempt_changes_nothing() -> None:
    told = await ride((1.0, text("a")), (5.0, STOP + DONE), meanwhile=cancels(1, 3.0))
    assert (told.fault, told.at) == (Fault.NONE, 6.0)


# Deadlines


@pytest.mark.parametrize("generation", EVERY)
async def test_before_the_commit_the_request_has_until_its_time_is_up(
    generation: Generation | None,
) -> None:
    told = await ride((1.0, ROLE), generation=generation, until=7.5)
    assert (told.fault, told.at) == (Fault.DEADLINE, 7.5)


async def test_after_the_commit_only_the_clients_own_limit_counts() -> None:
    pieces = [(1.0, text("x"))] * 30
    free = await ride(*pieces, (1.0, STOP + DONE), until=5.0)
    assert (free.fault, free.at) == (Fault.NONE, 31.0)
    bound = await ride(*pieces, until=5.0, limit=12.5)
    assert (bound.fault, bound.at) == (Fault.DEADLINE, 12.5)
    assert len(bound.client.got) == 12


async def test_who_gets_it_whole_has_until_the_end() -> None:
    told = await ride(*[(1.0, text("x"))] * 30, until=5.5, stream=False)
    assert (told.fault, told.at) == (Fault.DEADLINE, 5.5)


# Slow clients


async def test_a_slow_client_is_not_the_targets_stall_and_loses_nothing() -> None:
    client = Client(blocks={1: 55.0, 3: 41.0})
    steps = [(1.0, text(c)) for c in "abcdef"]
    told = await ride(*steps, (19.0, STOP + DONE), client=client)
    assert told.fault is Fault.NONE
    said = b"".join(client.got)
    assert [said.count(b'"%c"' % c) for c in b"abcdef"] == [1] * 6
    assert [said.find(b'"%c"' % c) for c in b"abcdef"] == sorted(
        said.find(b'"%c"' % c) for c in b"abcdef"
    )
    assert said.count(DONE) == 1
    assert client.begun == 1


async def test_after_a_slow_client_the_target_has_its_whole_time_again() -> None:
    told = await ride((1.0, text("a")), client=Client(blocks={0: 30.0}), generation=None)
    assert (told.fault, told.at) == (Fault.STALL, 51.0)


async def test_a_client_that_reads_nothing_is_gone_after_a_while() -> None:
    told = await ride((1.0, text("a")), client=Client(blocks={0: inf}), generation=None)
    assert told.fault is Fault.CLIENT_LEFT
    assert 1.0 + SLOW_CLIENT <= told.at <= 1.0 + SLOW_CLIENT + TIMERS.stall


async def test_a_slow_client_does_not_outlast_its_own_limit() -> None:
    told = await ride((1.0, text("a")), client=Client(blocks={0: inf}), limit=35.0)
    assert (told.fault, told.at) == (Fault.DEADLINE, 35.0)


@pytest.mark.parametrize("after", [None, Fault.RESET, END])
async def test_an_end_that_a_slow_client_kept_us_from_telling_is_still_the_end(
    after: bytes | Fault | None,
) -> None:
    client = Client(blocks={1: 45.0})
    more = () if after is None else ((1.0, after),)
    told = await ride((1.0, text("a")), (1.0, STOP + DONE), *more, client=client)
    assert (told.fault, told.at) == (Fault.NONE, 47.0)
    assert b"".join(client.got).count(DONE) == 1


async def test_a_fault_that_a_slow_client_kept_us_from_telling_is_still_that_fault() -> None:
    client = Client(blocks={1: 45.0})
    told = await ride((1.0, text("a")), (1.0, text("b") + ERROR), client=client)
    assert (told.fault, told.at) == (Fault.ERROR_EVENT, 47.0)
    assert b"".join(client.got).count(b'"b"') == 1


async def test_an_answer_that_is_held_comes_whole_or_not_at_all() -> None:
    whole = await ride((0, ROLE), (1, text("a")), (1, text("b")), (1, STOP + DONE), hold=True)
    assert (whole.fault, whole.client.begun, whole.client.ends) == (Fault.NONE, 1, 1)
    (got,) = whole.client.got
    assert got.count(b'"content":"') == 2
    assert got.endswith(DONE)
    assert whole.seen == [1.0], "its first content still heals"
    cut = await ride((0, ROLE), (1, text("a")), (1, END), hold=True)
    assert (cut.client.got, cut.relay.committed) == ([], False)
    stalled = await ride((0, text("a")), hold=True, generation=None)
    assert (stalled.fault, stalled.at, stalled.client.begun) == (Fault.STALL, 20.0, 0)


async def test_a_held_answer_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exo_supervisor.serve.relay.MOST_HELD", 500)
    long = await ride((0, text("x" * 600)), (1, STOP + DONE), hold=True)
    assert (long.fault, long.client.got, long.relay.committed) == (Fault.OVERSIZED, [], False)


# Room for whole answers


LARGE = text("x" * (FREE_BYTES + 1))


@pytest.mark.parametrize("hold", [False, True])
async def test_at_the_bound_reading_stops_and_nobody_is_to_blame(*, hold: bool) -> None:
    """Reading stops for as long as a target may stall; its own timers do not run meanwhile."""
    late = await ride(
        (0, LARGE), (1, STOP + DONE), stream=hold, hold=hold, generation=None, share=Share(Room(0))
    )
    assert (late.fault, late.at, late.reads) == (Fault.OVERLOADED, 20.0, 1)
    assert (late.client.got, late.relay.committed) == ([], False)


async def test_an_answer_goes_on_as_soon_as_there_is_room() -> None:
    room = Room(4 * GRANT_BYTES)
    other = Share(room)
    assert other.fits(FREE_BYTES + 4 * GRANT_BYTES)

    async def leave(_: Mailbox, began: float) -> None:
        await anyio.sleep_until(began + 15.0)
        other.close()

    told = await ride(
        (0, LARGE), (20, STOP + DONE), stream=False, generation=None, share=Share(room),
        meanwhile=leave,
    )  # fmt: skip
    assert (told.fault, told.at) == (Fault.NONE, 20.0)


async def test_a_deadline_or_a_cancel_ends_the_wait_for_room() -> None:
    late = await ride((0, LARGE), stream=False, until=5.0, share=Share(Room(0)))
    assert (late.fault, late.at) == (Fault.DEADLINE, 5.0)
    lost = await ride((0, LARGE), stream=False, share=Share(Room(0)), meanwhile=cancels(2, 3.0))
    assert (lost.fault, lost.at) == (Fault.STATE_LOST, 3.0)


async def test_a_stream_that_is_told_as_it_comes_needs_no_room() -> None:
    told = await ride((0, LARGE), (1, LARGE), (1, STOP + DONE), share=Share(Room(0)))
    assert (told.fault, len(told.client.got)) == (Fault.NONE, 3)
