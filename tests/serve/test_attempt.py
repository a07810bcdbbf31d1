"""An answer is carried whole, and ended exactly when its timers say so, or a tick later."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from exo_supervisor.core.effects import CancelAttempt, KeepAwake, StartAttempt, Timers
from exo_supervisor.core.events import AttemptQuieted, ContentSeen, RequestEnded
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.names import Generation, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.serve.error_answer import MAX_ERROR_BYTES
from exo_supervisor.serve.live import TICK, TURNS
from exo_supervisor.serve.response import PIECE, SMALL
from exo_supervisor.serve.room import FREE_BYTES, GRANT_BYTES, Share
from exo_supervisor.serve.timers import ERROR_WAIT, SLOW_CLIENT, STEP_TOKENS
from exo_supervisor.wire.openai.framing import KEEP_ALIVE
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.serve.virtual import HELLO, JSON, RESET, SSE, TIMERS, Browser, House, Said, start

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
LONG_END = (
    b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * SMALL) + STOP + DONE
)
"""More than is sure to be taken without a wait."""
ERROR = b'data: {"error":{"message":"boom","type":"server_error"}}\n\n'
END = b""
EVERY: tuple[Generation | None, ...] = ("A", "B", "C", None)
HARD: tuple[Generation | None, ...] = ("A", None)
PATIENT: tuple[Generation | None, ...] = ("B", "C")

Step = tuple[float, Said]


def text(content: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % content.encode()


def thought(words: str) -> bytes:
    return text(words).replace(b'"content"', b'"reasoning_content"')


def prefill(tokens: int) -> bytes:
    return b': prefill_progress {"PrefillProgressChunk":{"processed_tokens":%d}}\n\n' % tokens


@dataclass
class Ride:
    """What came of one attempt, `at` so many seconds after it began."""

    fault: Fault | None
    at: float
    house: House
    client: Browser

    @property
    def committed(self) -> bool:
        return next(self.house.settled()).committed

    @property
    def quiets(self) -> list[tuple[float, float, bool]]:
        return [
            (at, event.silence, event.begun)
            for at, event in self.house.events
            if isinstance(event, AttemptQuieted)
        ]

    @property
    def seen(self) -> list[float]:
        return [event.ttft for _, event in self.house.events if isinstance(event, ContentSeen)]

    @property
    def parts(self) -> list[bytes]:
        """What the client got of the answer itself: no keep-alives, no last words."""
        cut = self.client.end == "cut"
        return [part for part in self.client.got[: -1 if cut else None] if part != KEEP_ALIVE]


def late(at: float) -> object:
    """Allow for a tick: no timer but the client's own deadline is exact."""
    return pytest.approx(at + TICK, abs=TICK)


@dataclass
class Ask:
    """How a test asks."""

    generation: Generation | None = "C"
    stream: bool = True
    hold: bool = False
    timers: Timers = TIMERS
    blocks: dict[int, float] | None = None
    until: float = 900.0
    limit: float | None = None
    room: int = 2**28
    head: float = 1e9
    json: bool = False
    head_of: Said | None = (200, SSE)

    def prepare(self, *steps: Step) -> tuple[House, Browser]:
        def order(request: RequestId) -> StartAttempt:
            return start(request, 2, generation=self.generation, timers=self.timers, hold=self.hold)

        house = House(order, total=self.until, room=self.room, head=self.head)
        head = (200, JSON) if self.json else self.head_of
        heads: list[Step] = [] if head is None else [(0.0, head)]
        house.target.steps = [[*heads, *steps]]
        headers = {} if self.limit is None else {"x-supervisor-deadline": str(self.limit)}
        return house, house.chat(stream=self.stream, headers=headers, blocks=self.blocks)

    def ride(self, *steps: Step) -> Ride:
        house, client = self.prepare(*steps)
        return finish(house, client)


def finish(house: House, client: Browser) -> Ride:
    """Let time go by until the attempt is settled."""
    for _ in range(8000):
        found = next(house.settled(), None)
        if found is not None:
            at = next(at for at, event in house.events if event is found)
            return Ride(found.failure.fault, at, house, client)
        house.loop.run(TICK / 2)
    return Ride(None, inf, house, client)


def ride(*steps: Step, **ask: Any) -> Ride:  # noqa: ANN401 - whatever a test is about
    return Ask(**ask).ride(*steps)


# What is carried


def test_a_whole_answer_is_carried_one_write_a_read_and_committed_once() -> None:
    told = ride((1.0, ROLE), (1.0, text("a") + text("b")), (1.0, text("c")), (1.0, STOP + DONE))
    assert (told.fault, told.at) == (Fault.NONE, 4.0)
    assert [data.count(b"data: ") for data in told.client.got] == [2, 1, 2]
    assert told.client.got[-1].endswith(DONE)
    assert (told.client.end, told.client.status) == ("whole", 200)
    assert told.seen == [2.0]
    assert told.committed
    told.house.check_empty()
    (record,) = told.house.records
    assert (record.outcome, record.ttft, record.status) == ("success", 2.0, 200)


def test_a_clean_end_without_done_gets_its_tail() -> None:
    told = ride((1.0, text("a") + STOP), (1.0, END))
    assert (told.fault, told.at) == (Fault.NONE, 2.0)
    assert told.client.got[-1] == DONE


def test_an_end_is_an_end_even_if_more_would_come() -> None:
    told = ride((1.0, text("a") + STOP + DONE), (1.0, RESET))
    assert told.fault is Fault.NONE
    assert told.house.target.calls[0].end == "left", "its connection sees the body out"


def test_a_client_that_does_not_stream_commits_nothing() -> None:
    told = ride((1.0, text("a")), (1.0, STOP + DONE), stream=False)
    assert (told.fault, told.seen) == (Fault.NONE, [1.0])
    body = msgspec.json.decode(told.client.body)
    assert body["choices"][0]["message"]["content"] == "a"
    assert len(told.client.got) == 1, "head and body are one write"


def test_a_fault_in_the_read_of_the_first_content_commits_nothing() -> None:
    told = ride((1.0, text("a") + ERROR))
    assert (told.fault, told.at, told.committed) == (Fault.ERROR_EVENT, 1.0, False)
    assert (told.client.status, told.seen) == (502, [])
    assert told.house.target.calls[0].end == "closed"


def test_content_before_a_fault_in_one_read_is_written_first_once_committed() -> None:
    told = ride((1.0, text("a")), (1.0, text("b") + ERROR))
    assert told.fault is Fault.ERROR_EVENT
    assert [b'"b"' in data for data in told.parts] == [False, True]
    assert told.client.end == "cut"
    assert b"attempts_failed" in told.client.got[-1]


def test_an_empty_answer_is_a_fault_and_no_commit() -> None:
    told = ride((1.0, ROLE), (1.0, STOP + DONE))
    assert (told.fault, told.client.status, told.seen) == (Fault.EMPTY, 502, [])


@pytest.mark.parametrize(
    ("error", "fault"), [(NetworkFault.RESET, Fault.RESET), (NetworkFault.PAYLOAD, Fault.PAYLOAD)]
)
def test_an_answer_that_breaks_is_the_targets_fault(error: NetworkFault, fault: Fault) -> None:
    told = ride((1.0, text("a")), (1.0, HttpError(error, Stage.BODY)))
    assert (told.fault, told.at) == (fault, 2.0)
    assert told.client.end == "cut"


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
@pytest.mark.parametrize("stream", [True, False])
def test_one_json_object_in_place_of_a_stream_is_whole_or_a_fault(
    body: bytes, fault: Fault, *, stream: bool
) -> None:
    for split in range(max(1, len(body))):
        halves = [(1.0, half) for half in (body[:split], body[split:]) if half]
        told = ride(*halves, (1.0, END), json=True, stream=stream)
        assert told.fault is fault
        assert told.client.status == (200 if fault is Fault.NONE else 502)


def test_an_answer_is_the_same_at_every_split_and_no_part_of_it_looks_whole() -> None:
    said = ROLE + text("a") + text("b") + STOP + DONE
    for split in range(1, len(said)):
        told = ride((1.0, said[:split]), (1.0, said[split:]))
        assert told.fault is Fault.NONE
        assert told.client.body.count(b"data: ") == 4
        assert (told.client.end, told.client.body.endswith(DONE)) == ("whole", True)
        cut = ride((1.0, said[:split]), (1.0, RESET))
        assert cut.fault is Fault.RESET
        assert (cut.client.end == "cut") == (b'"a"' in cut.client.body)
        assert DONE not in cut.client.body


def test_texts_that_come_one_a_read_are_told_as_those_of_one_read() -> None:
    """From the second on they pass through the attempt on a way of their own, thoughts as texts."""
    words = [*map(text, ["a", "b", "\\u00e9", ""]), b": a word\n\n", text("c")]
    words = [ROLE, *map(thought, ["t", "u", "", "v"]), *words]
    apart = ride(*((1.0, word) for word in [*words, STOP, DONE]))
    at_once = ride((1.0, b"".join([*words, STOP, DONE])))
    assert apart.fault is at_once.fault is Fault.NONE
    told = [
        each.client.body.replace(each.house.records[0].request_id.encode(), b"")
        for each in (apart, at_once)
    ]
    assert told[0] == told[1]
    assert told[0].count(b"data: ") == 11


# Heads


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (500, b'{"error":{"message":"boom"}}', Fault.SERVER_ERROR),
        (429, b'{"error":{"message":"slow down"}}', Fault.BUSY),
        (404, b'{"error":{"message":"No instance found"}}', Fault.NOT_PLACED),
        (302, b"", Fault.BAD_STATUS),
    ],
)
def test_a_head_that_is_no_answer_is_judged_by_its_body_at_every_split(
    status: int, body: bytes, fault: Fault
) -> None:
    for split in range(max(1, len(body))):
        halves = [(0.1, half) for half in (body[:split], body[split:]) if half]
        told = Ask(head_of=(status, JSON)).ride(*halves, (0.1, END))
        event = next(told.house.settled())
        failure = event.failure
        assert (failure.fault, failure.status, event.committed) == (fault, status, False)


def test_an_error_that_breaks_off_or_does_not_end_says_what_it_said() -> None:
    said = b'{"error":{"message":"this model is overloaded"}}'
    broken = Ask(head_of=(500, JSON)).ride((1.0, said), (1.0, RESET))
    assert (broken.fault, broken.at) == (Fault.BUSY, 2.0)
    endless = Ask(head_of=(500, JSON)).ride((1.0, said))
    assert (endless.fault, endless.at) == (Fault.BUSY, late(ERROR_WAIT))
    silent = Ask(head_of=(500, JSON)).ride()
    assert (silent.fault, silent.at) == (Fault.SERVER_ERROR, late(ERROR_WAIT))
    late_one = Ask(head_of=(500, JSON), until=1.0).ride()
    assert (late_one.fault, late_one.at) == (Fault.DEADLINE, late(1.0))


def test_of_an_error_no_more_is_read_than_tells_what_it_is() -> None:
    told = Ask(head_of=(500, JSON)).ride((1.0, b"x" * (MAX_ERROR_BYTES + 9)))
    assert (told.fault, told.at) == (Fault.SERVER_ERROR, 1.0)
    assert told.house.target.calls[0].end == "closed"


@pytest.mark.parametrize(
    "headers",
    [{"content-type": "text/html"}, {}, {**SSE, "content-encoding": "gzip"}],
)
def test_a_good_status_with_a_wrong_type_is_told_at_once(headers: dict[str, str]) -> None:
    told = Ask(head_of=(200, headers)).ride()
    assert (told.fault, told.at) == (Fault.CONTENT_TYPE, 0.0)
    assert told.house.target.calls[0].end == "closed"


def test_an_encoding_that_changes_nothing_is_read() -> None:
    plain = {**SSE, "content-encoding": "Identity"}
    assert Ask(head_of=(200, plain)).ride((0, text("a") + STOP + DONE)).fault is Fault.NONE


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (HttpError(NetworkFault.REFUSED, Stage.CONNECT), Fault.CONNECT),
        (HttpError(NetworkFault.TIMEOUT, Stage.CONNECT), Fault.CONNECT_TIMEOUT),
        (HttpError(NetworkFault.TLS, Stage.CONNECT), Fault.TLS),
        (HttpError(NetworkFault.RESET, Stage.HEAD), Fault.RESET_EARLY),
        (HttpError(NetworkFault.PAYLOAD, Stage.HEAD), Fault.PAYLOAD),
        (HttpError(NetworkFault.EXHAUSTED, Stage.CONNECT), Fault.BUSY),
    ],
)
def test_what_never_opened_says_why(error: HttpError, fault: Fault) -> None:
    with capture_logs() as lines:
        told = Ask(head_of=error).ride()
    assert (told.fault, told.committed) == (fault, False)
    full = fault is Fault.BUSY
    assert next(told.house.settled()).failure.retry_after == (1.0 if full else None)
    names = [line["event"] for line in lines]
    assert names == ["descriptors_exhausted"] * full


@pytest.mark.parametrize(
    ("headers", "fault", "at"),
    [(8.0, Fault.HEADERS_TIMEOUT, 8.0), (None, Fault.FIRST_CONTENT_TIMEOUT, 30.0)],
)
def test_a_head_is_waited_for_with_a_bound(headers: float | None, fault: Fault, at: float) -> None:
    told = Ask(head_of=None, timers=structs.replace(TIMERS, headers=headers)).ride()
    assert (told.fault, told.at) == (fault, late(at))
    sooner = Ask(head_of=None, until=3.0).ride()
    assert (sooner.fault, sooner.at) == (Fault.DEADLINE, late(3.0))


# First content


@pytest.mark.parametrize("generation", HARD)
def test_first_content_is_hard_where_no_progress_can_be_seen(
    generation: Generation | None,
) -> None:
    """Generation A and clouds: whatever comes before the content buys no time."""
    told = ride(
        (10.0, ROLE), (10.0, KEEP_ALIVE), (5.0, prefill(5)), (4.0, ROLE), generation=generation
    )
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, late(30.0))


@pytest.mark.parametrize("generation", PATIENT)
def test_a_silent_prefill_has_the_longest_time_as_long_as_nobody_objects(
    generation: Generation | None,
) -> None:
    told = ride((1.0, ROLE), *[(1.0, KEEP_ALIVE)] * 290, generation=generation)
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, late(300.0))


def test_a_prefill_that_moves_has_all_the_time_of_its_request() -> None:
    moves = [(29.0, prefill(n * STEP_TOKENS)) for n in range(1, 20)]
    well = ride(*moves, (29.0, text("a")), (1.0, STOP + DONE))
    assert (well.fault, well.seen) == (Fault.NONE, [580.0])
    endless = ride(*[(29.0, prefill(n * STEP_TOKENS)) for n in range(1, 99)])
    assert (endless.fault, endless.at) == (Fault.DEADLINE, late(900.0))


def test_a_prefill_that_stands_still_fails_first_content_after_its_last_move() -> None:
    step = STEP_TOKENS
    told = ride(
        (10.0, prefill(step)), (10.0, prefill(2 * step)), (9.0, prefill(2 * step)),
        (9.0, prefill(2 * step)), (9.0, KEEP_ALIVE), (2.9, ROLE), (1.0, text("late")),
    )  # fmt: skip
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, late(50.0))
    assert told.client.status == 502


def test_a_first_step_that_has_told_nothing_yet_is_no_prefill_that_stands_still() -> None:
    """Exo tells `0/N` at once, reads 4,096 tokens, and is silent however long that takes."""
    told = ride(
        (0.2, prefill(0)), *[(10.0, KEEP_ALIVE)] * 13, (7.0, prefill(STEP_TOKENS)),
        (9.0, text("a")), (1.0, STOP + DONE),
    )  # fmt: skip
    assert (told.fault, told.seen) == (Fault.NONE, [pytest.approx(146.2)])
    assert [silence for _, silence, _ in told.quiets] == [late(10.0 * n) for n in range(1, 14)]


@pytest.mark.parametrize(
    ("steps", "at"),
    [
        pytest.param(((60.0, 1.0),), 60.0 + 180.0, id="its pace says how long the next takes"),
        pytest.param(((60.0, 0.5),), 60.0 + 300.0, id="no more than the longest"),
        pytest.param(((90.0, 1.0), (20.0, 2.0)), 110.0 + 60.0, id="the last one counts"),
        pytest.param(((1.0, 1.0),), 1.0 + 30.0, id="no less than a first content has"),
    ],
)
def test_a_step_may_take_three_times_as_long_as_the_one_before(
    steps: tuple[tuple[float, float], ...], at: float
) -> None:
    told = ride(*[(wait, prefill(int(each * STEP_TOKENS))) for wait, each in steps])
    assert (told.fault, told.at) == (Fault.FIRST_CONTENT_TIMEOUT, late(at))


# Stall


@pytest.mark.parametrize("generation", HARD)
def test_a_stall_is_that_long_after_the_last_progress(generation: Generation | None) -> None:
    told = ride((1.0, text("a")), (19.5, text("b")), (5.0, KEEP_ALIVE), generation=generation)
    assert (told.fault, told.at) == (Fault.STALL, late(40.5))
    assert len(told.parts) == 2


@pytest.mark.parametrize("generation", PATIENT)
def test_a_silence_in_the_midst_has_the_longest_time_as_long_as_nobody_objects(
    generation: Generation | None,
) -> None:
    """A call of a tool is written in silence, and then sent whole."""
    call = [(1.0, text("a")), (250.0, text("b")), (1.0, STOP + DONE)]
    well = ride(*call, generation=generation)
    assert (well.fault, well.at) == (Fault.NONE, 252.0)
    told = ride((1.0, text("a")), generation=generation)
    assert (told.fault, told.at) == (Fault.STALL, late(301.0))


def test_thoughts_are_progress_and_the_first_of_them_is_the_first_content() -> None:
    thinks = [(19.0, thought("t"))] * 5
    told = ride(*thinks, *[(19.0, text("a"))] * 3, (19.0, STOP + DONE), generation=None)
    assert (told.fault, told.at, told.seen) == (Fault.NONE, 171.0, [19.0])
    told = ride(*thinks, generation=None)
    assert (told.fault, told.at, told.seen) == (Fault.STALL, late(115.0), [19.0])


def test_an_event_with_empty_content_is_progress() -> None:
    """Exo sends those inside a character of several bytes."""
    told = ride((1.0, text("a")), *[(19.0, text(""))] * 5, (19.0, STOP + DONE), generation=None)
    assert (told.fault, told.at) == (Fault.NONE, 115.0)


def test_keepalives_and_nonsense_are_no_progress() -> None:
    noise = [(1.0, KEEP_ALIVE), (1.0, b"data: {broken\n\n"), (1.0, b"data: {}\n\n")] * 10
    told = ride((1.0, text("a")), *noise, generation=None)
    assert (told.fault, told.at) == (Fault.STALL, late(21.0))


# Quiet


def test_silence_is_told_at_half_a_stall_and_then_each_ten_seconds() -> None:
    told = ride((1.0, text("a")), (4.0, text("b")), (36.0, STOP + DONE))
    assert told.quiets == [(late(5.0 + n), late(n), True) for n in (10.0, 20.0, 30.0)]
    again = ride((1.0, text("a")), (12.0, text("b")), (12.0, STOP + DONE))
    assert again.quiets == [(late(11.0), late(10.0), True), (late(23.0), late(10.0), True)]


def test_generation_a_has_a_state_and_all_the_same_a_stall() -> None:
    told = ride((1.0, text("a")), (4.0, text("b")), generation="A")
    assert told.quiets == [(late(15.0), late(10.0), True)]
    assert (told.fault, told.at) == (Fault.STALL, late(25.0))


def test_silence_is_also_told_when_nobody_has_to_vouch_for_it_any_more() -> None:
    odd = structs.replace(TIMERS, stall=26.0, first_content=31.0)
    told = ride((60.0, text("a")), (60.0, STOP + DONE), timers=odd)
    assert [(silence, begun) for _, silence, begun in told.quiets] == [
        (late(silence), False) for silence in (13.0, 23.0, 31.0, 41.0, 51.0)
    ] + [(late(silence), True) for silence in (13.0, 23.0, 26.0, 36.0, 46.0, 56.0)]


def test_silence_is_told_sooner_where_the_first_content_was_expected_sooner() -> None:
    quick = structs.replace(TIMERS, quiet=3.0)
    told = ride((15.0, text("a")), (15.0, STOP + DONE), timers=quick)
    assert told.quiets == [
        (late(3.0), late(3.0), False), (late(13.0), late(13.0), False),
        (late(25.0), late(10.0), True),
    ]  # fmt: skip
    slow = ride((15.0, text("a")), timers=structs.replace(TIMERS, quiet=25.0), until=14.0)
    assert slow.quiets == [(late(10.0), late(10.0), False)]


def test_silence_before_content_is_told_again_and_again() -> None:
    told = ride((4.0, prefill(1)), (27.0, prefill(2)), (5.0, text("a")), (1.0, STOP + DONE))
    assert told.quiets == [(late(14.0), late(10.0), False), (late(24.0), late(20.0), False)]
    assert told.fault is Fault.NONE


def test_a_cloud_has_no_state_that_could_be_asked() -> None:
    told = ride((1.0, text("a")), generation=None)
    assert (told.fault, told.quiets) == (Fault.STALL, [])


# What is vouched for


def vouched(ask: Ask, *steps: Step, at: tuple[float, ...], attempt: int = 2) -> Ride:
    house, client = ask.prepare(*steps)
    vouch = KeepAwake(request=house.exchange(client).request, attempt=attempt)
    for moment in at:
        house.loop.call_later(moment, lambda: house.perform(vouch))
    return finish(house, client)


def test_a_client_in_the_middle_of_its_answer_is_kept_awake_while_it_is_vouched_for() -> None:
    told = vouched(Ask(), (1.0, text("a")), (40.0, text("b")), (1.0, STOP + DONE), at=(11.5, 21.5))
    assert (told.fault, told.at) == (Fault.NONE, 42.0)
    assert [data == KEEP_ALIVE for data in told.client.got] == [False, True, True, False, False]
    assert [silence for _, silence, _ in told.quiets] == [late(n) for n in (10.0, 20.0, 30.0)]


@pytest.mark.parametrize(
    ("stream", "hold"),
    [
        pytest.param(False, False, id="a client that gets it whole"),
        pytest.param(True, True, id="an answer that is held"),
    ],
)
def test_who_has_no_part_of_the_answer_yet_is_kept_awake_elsewhere(
    *, stream: bool, hold: bool
) -> None:
    ask = Ask(stream=stream, hold=hold)
    told = vouched(ask, (1.0, text("a")), (20.0, STOP + DONE), at=(5.0,))
    assert told.fault is Fault.NONE
    assert KEEP_ALIVE not in told.client.got


def test_what_is_vouched_for_of_another_attempt_wakes_nobody() -> None:
    told = vouched(Ask(), (1.0, text("a")), (20.0, STOP + DONE), at=(5.0,), attempt=1)
    assert KEEP_ALIVE not in told.client.got


def test_a_client_that_is_behind_is_kept_awake_once_it_has_read() -> None:
    told = vouched(Ask(blocks={0: 25.0}), (1.0, text("a")), (60.0, STOP + DONE), at=(10.0, 11.0))
    assert told.fault is Fault.NONE
    assert [
        (part == KEEP_ALIVE, at - told.house.began)
        for part, at in zip(told.client.got, told.client.at, strict=True)
    ][:2] == [(False, 1.0), (True, 26.0)]
    assert told.client.got.count(KEEP_ALIVE) == 1


# A process that stood still


@pytest.mark.parametrize("generation", EVERY)
@pytest.mark.parametrize("begun", [False, True])
def test_what_came_while_the_process_stood_still_is_read_before_a_timer_judges(
    generation: Generation | None, *, begun: bool
) -> None:
    """The loop looks at its timers first, and sees what came in a later turn."""
    house, client = Ask(generation=generation, until=9000.0).prepare(
        *([(1.0, text("a"))] if begun else [])
    )
    house.loop.run(1.1)
    house.loop.jump(3600.0)
    call = house.target.calls[0]
    after_the_timers(house, lambda: call.says(text("b") + STOP + DONE))
    told = finish(house, client)
    assert told.fault is Fault.NONE
    assert told.client.body.endswith(DONE)


def after_the_timers(house: House, then: Callable[[], None], turns: int = TURNS) -> None:
    """Do something in one of the turns of the loop in which its timers have had their say."""
    if turns:
        house.loop.call_soon(lambda: after_the_timers(house, then, turns - 1))
    else:
        then()


@pytest.mark.parametrize("missed", [b"", KEEP_ALIVE])
def test_who_said_nothing_while_the_process_stood_still_is_judged(missed: bytes) -> None:
    house, client = Ask(generation=None).prepare((1.0, text("a")))
    house.loop.run(1.1)
    house.loop.jump(3600.0)
    if missed:
        after_the_timers(house, lambda: house.target.calls[0].says(missed))
    told = finish(house, client)
    assert (told.fault, told.at) == (Fault.STALL, pytest.approx(3601.1))


# Cancels


def cancelled(
    ask: Ask, *steps: Step, at: float, attempt: int = 2, unless_after: float | None = None
) -> Ride:
    house, client = ask.prepare(*steps)
    cancel = CancelAttempt(
        request=house.exchange(client).request, attempt=attempt, fault=Fault.STATE_LOST,
        unless_after=None if unless_after is None else house.began + unless_after,
    )  # fmt: skip
    house.loop.call_later(at, lambda: house.perform(cancel))
    return finish(house, client)


@pytest.mark.parametrize(
    "steps",
    [(), ((1.0, prefill(1)),), ((1.0, text("a")),), ((1.0, text("a")), (1.0, text("b")))],
)
def test_a_cancel_ends_the_attempt_at_once(steps: tuple[Step, ...]) -> None:
    told = cancelled(Ask(), *steps, at=3.25)
    assert (told.fault, told.at) == (Fault.STATE_LOST, 3.25)
    assert told.house.target.calls[0].end == "closed"


def test_a_cancel_before_the_head_ends_it_too() -> None:
    told = cancelled(Ask(head_of=None), at=1.0)
    assert (told.fault, told.at) == (Fault.STATE_LOST, 1.0)


def test_a_cancel_reaches_an_attempt_whose_client_reads_nothing() -> None:
    told = cancelled(Ask(blocks={0: 50.0}), (1.0, text("a")), at=30.0)
    assert (told.fault, told.at) == (Fault.STATE_LOST, 30.0)


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_cancel_of_another_attempt_changes_nothing(attempt: int) -> None:
    told = cancelled(Ask(), (1.0, text("a")), (5.0, STOP + DONE), at=3.0, attempt=attempt)
    assert (told.fault, told.at) == (Fault.NONE, 6.0)


@pytest.mark.parametrize(
    ("steps", "after", "ends"),
    [
        ((), 5.0, True),
        (((4.0, text("a")),), 5.0, True),
        (((4.0, text("a")),), None, True),
        (((6.0, text("a")),), 5.0, False),
        (((9.99, text("a")),), 9.9, False),
        (((6.0, KEEP_ALIVE),), 5.0, True),
    ],
)
def test_a_cancel_spares_what_made_progress_after_it_was_thought_dead(
    steps: tuple[Step, ...], after: float | None, *, ends: bool
) -> None:
    told = cancelled(Ask(until=20.0), *steps, at=10.0, unless_after=after)
    assert (told.fault is Fault.STATE_LOST) == ends


# Deadlines


@pytest.mark.parametrize("generation", EVERY)
def test_before_the_commit_the_request_has_until_its_time_is_up(
    generation: Generation | None,
) -> None:
    told = ride((1.0, ROLE), generation=generation, until=7.5)
    assert (told.fault, told.at) == (Fault.DEADLINE, late(7.5))


def test_after_the_commit_only_the_clients_own_limit_counts_and_is_exact() -> None:
    pieces = [(1.0, text("x"))] * 30
    free = ride(*pieces, (1.0, STOP + DONE), until=5.0)
    assert (free.fault, free.at) == (Fault.NONE, 31.0)
    bound = ride(*pieces, until=5.0, limit=12.6)
    assert (bound.fault, bound.at) == (Fault.DEADLINE, pytest.approx(12.6))
    assert len(bound.parts) == 12
    assert b'"deadline"' in bound.client.got[-1]


def test_who_gets_it_whole_has_until_the_end() -> None:
    told = ride(*[(1.0, text("x"))] * 30, until=5.5, stream=False)
    assert (told.fault, told.at) == (Fault.DEADLINE, late(5.5))


# Slow clients


def test_a_slow_client_is_not_the_targets_stall_and_loses_nothing() -> None:
    steps = [(1.0, text(c)) for c in "abcdef"]
    told = ride(*steps, (19.0, STOP + DONE), blocks={1: 55.0, 3: 41.0}, generation=None)
    assert told.fault is Fault.NONE
    said = told.client.body
    assert [said.count(b'"%c"' % c) for c in b"abcdef"] == [1] * 6
    places = [said.find(b'"%c"' % c) for c in b"abcdef"]
    assert places == sorted(places)
    assert said.count(DONE) == 1
    assert told.house.target.calls[0].pauses == 2, "meanwhile its target is not read"
    assert KEEP_ALIVE not in told.client.got, "nobody had vouched for it"


def test_what_was_read_before_a_slow_client_had_its_target_wait_is_carried_too() -> None:
    house, client = Ask(blocks={0: 30.0}).prepare((1.0, text("a")))
    house.loop.run(2.0)
    (call,) = house.target.calls
    call.listener.data(text("b"))
    assert (len(client.got), call.pauses) == (2, 1)
    house.loop.run(30.0)
    assert not call.paused
    call.says(STOP + DONE)
    assert finish(house, client).fault is Fault.NONE


def test_a_client_that_kept_up_gives_its_target_no_more_time() -> None:
    house, client = Ask(generation=None).prepare((0, text("a")))
    house.loop.run(10.0)
    assert client.handler is not None
    client.handler.writable()
    told = finish(house, client)
    assert (told.fault, told.at) == (Fault.STALL, late(20.0))


def test_after_a_slow_client_the_target_has_its_whole_time_again() -> None:
    told = ride((1.0, text("a")), blocks={0: 30.0}, generation=None)
    assert (told.fault, told.at) == (Fault.STALL, late(51.0))


def test_a_client_that_reads_nothing_is_gone_after_a_while() -> None:
    told = ride((1.0, text("a")), blocks={0: inf}, generation=None)
    assert (told.fault, told.at) == (Fault.CLIENT_LEFT, late(1.0 + SLOW_CLIENT))
    assert told.client.end == "abort"
    told.house.check_empty()
    assert [record.outcome for record in told.house.records] == ["abandoned"]
    [done] = told.house.done
    assert [tried.silence for tried in done.tried] == [0.0], "it was not its target's"


def test_a_client_that_takes_no_end_is_gone_after_as_long_and_its_time_is_told() -> None:
    told = ride((1.0, text("a")), (1.0, LONG_END), blocks={1: inf})
    assert (told.fault, told.at, told.client.end) == (Fault.NONE, 2.0, "")
    told.house.loop.run(SLOW_CLIENT + 1.0)
    assert told.client.end == "abort"
    [record] = told.house.records
    assert (record.outcome, record.duration) == ("abandoned", 2.0 + SLOW_CLIENT)


def test_a_slow_client_does_not_outlast_its_own_limit() -> None:
    told = ride((1.0, text("a")), blocks={0: inf}, limit=35.0)
    assert (told.fault, told.at) == (Fault.DEADLINE, pytest.approx(35.0))


@pytest.mark.parametrize("after", [None, RESET, END])
def test_an_end_that_a_slow_client_kept_us_from_telling_is_still_the_end(
    after: Said | None,
) -> None:
    more = () if after is None else ((1.0, after),)
    told = ride((1.0, text("a")), (1.0, LONG_END), *more, blocks={1: 45.0})
    assert (told.fault, told.at) == (Fault.NONE, 2.0), "its target is free"
    assert_taken(told, at=47.0)


def test_a_cancel_of_an_answer_that_is_whole_by_then_changes_nothing() -> None:
    told = cancelled(Ask(blocks={1: 45.0}), (1.0, text("a")), (1.0, LONG_END), at=10.0)
    assert (told.fault, told.at) == (Fault.NONE, 2.0)
    assert_taken(told, at=47.0)


def assert_taken(told: Ride, at: float) -> None:
    """Show that a client had taken its answer at an instant, and that its request ended then."""
    house = told.house
    house.loop.run(house.began + at - house.loop.now - TICK)
    assert (told.client.end, house.records) == ("", [])
    house.loop.run(2 * TICK)
    assert (told.client.body.count(DONE), told.client.end) == (1, "whole")
    assert [record.outcome for record in house.records] == ["success"]
    assert len([event for _, event in house.events if isinstance(event, RequestEnded)]) == 1
    house.check_empty()


def test_an_answer_whose_end_is_never_read_is_given_up() -> None:
    house, client = Ask(blocks={1: inf}).prepare((1.0, text("a")), (1.0, LONG_END))
    house.loop.run(2.0 + SLOW_CLIENT + 1.0)
    assert client.end == "abort"
    assert [record.outcome for record in house.records] == ["abandoned"]
    assert [event.unsent for event in house.settled()] == [True]
    assert len([event for _, event in house.events if isinstance(event, RequestEnded)]) == 1
    house.check_empty()


def test_a_fault_is_told_though_its_client_is_behind() -> None:
    told = ride((1.0, text("a")), (1.0, text("b") + ERROR), blocks={1: 45.0})
    assert (told.fault, told.at) == (Fault.ERROR_EVENT, 2.0)
    assert told.client.body.count(b'"b"') == 1
    assert told.client.end == "cut"


# Answers that are held


def test_an_answer_that_is_held_comes_whole_or_not_at_all() -> None:
    whole = ride((0, ROLE), (1, text("a")), (1, text("b")), (1, STOP + DONE), hold=True)
    assert (whole.fault, whole.client.end) == (Fault.NONE, "whole")
    (got,) = whole.client.got
    assert got.count(b'"content":"') == 2
    assert got.endswith(DONE)
    assert whole.seen == [1.0], "its first content still heals"
    cut = ride((0, ROLE), (1, text("a")), (1, END), hold=True)
    assert (cut.client.status, cut.committed) == (502, False)
    stalled = ride((0, text("a")), hold=True, generation=None)
    assert (stalled.fault, stalled.at, stalled.client.status) == (Fault.STALL, late(20.0), 502)


def test_a_held_answer_has_a_bound() -> None:
    part = text("x" * 2**20)
    told = ride(*[(1, part)] * 70, hold=True, generation=None)
    assert (told.fault, told.client.status, told.committed) == (Fault.OVERSIZED, 502, False)


# Room for whole answers


LARGE = text("x" * (FREE_BYTES + 1))


@pytest.mark.parametrize("hold", [False, True])
def test_at_the_bound_reading_stops_and_nobody_is_to_blame(*, hold: bool) -> None:
    """Reading stops for as long as a target may stall; its own timers do not run meanwhile."""
    told = ride((0, LARGE), (1, STOP + DONE), stream=hold, hold=hold, generation=None, room=0)
    assert (told.fault, told.at) == (Fault.OVERLOADED, late(20.0))
    assert (told.client.status, told.committed) == (502, False)
    assert told.house.target.calls[0].pauses == 1
    told.house.check_empty()


def test_an_answer_goes_on_as_soon_as_there_is_room() -> None:
    house, client = Ask(stream=False, generation=None, room=4 * GRANT_BYTES).prepare(
        (0, LARGE), (20, STOP + DONE)
    )
    other = Share(house.room, lambda: None)
    assert other.fits(FREE_BYTES + 4 * GRANT_BYTES)
    house.loop.call_later(15.0, other.close)
    told = finish(house, client)
    assert (told.fault, told.at) == (Fault.NONE, 20.0)
    told.house.check_empty()


def test_the_wait_for_room_is_not_the_time_of_a_target_that_brought_nothing_yet() -> None:
    body = b'{"choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}' % (b"x" * 50_000)
    house, client = Ask(stream=False, json=True, generation=None, room=4 * GRANT_BYTES).prepare(
        (0, body[:40_000]), (34, body[40_000:]), (0, END)
    )
    other = Share(house.room, lambda: None)
    assert other.fits(FREE_BYTES + 4 * GRANT_BYTES)
    house.loop.call_later(19.0, other.close)
    told = finish(house, client)
    assert (told.fault, told.at) == (Fault.NONE, 34.0)
    told.house.check_empty()


def test_a_fault_of_our_own_when_there_is_room_again_ends_one_request_and_no_other() -> None:
    house, client = Ask(stream=False, generation=None, room=4 * GRANT_BYTES).prepare((0, LARGE))
    other = Share(house.room, lambda: None)
    assert other.fits(FREE_BYTES + 4 * GRANT_BYTES)
    house.loop.run(1.0)
    house.target.calls[0].breaks = True
    with capture_logs() as lines:
        other.close()
    assert [line["event"] for line in lines] == ["request_crashed"]
    assert (client.status, house.records[0].code) == (500, "internal")
    house.check_empty()


def test_a_deadline_or_a_cancel_ends_the_wait_for_room() -> None:
    tight = Ask(stream=False, until=5.0, room=0).ride((0, LARGE))
    assert (tight.fault, tight.at) == (Fault.DEADLINE, late(5.0))
    lost = cancelled(Ask(stream=False, room=0), (0, LARGE), at=3.0)
    assert (lost.fault, lost.at) == (Fault.STATE_LOST, 3.0)
    lost.house.check_empty()


def test_a_stream_that_is_told_as_it_comes_needs_no_room() -> None:
    told = ride((0, LARGE), (1, LARGE), (1, STOP + DONE), room=0)
    assert (told.fault, len(told.client.got)) == (Fault.NONE, 3)


def test_half_an_event_of_a_stream_does() -> None:
    told = ride((0, text("a")), (1, LARGE[:-9]), (1, LARGE[-9:]), room=0, generation=None)
    assert (told.fault, told.at) == (Fault.OVERLOADED, late(21.0))


def test_a_stream_whose_end_says_all_of_it_again_needs_room_whatever_way_its_texts_go() -> None:
    body = msgspec.json.encode({"model": "m", "input": "hi", "stream": True})
    for tokens in ([LARGE] * 2, [text("x" * 900)] * 100):
        house = House(lambda request: start(request, generation=None), room=0)
        house.target.steps = [[(0.0, (200, SSE)), *[(1.0, token) for token in tokens]]]
        client = Browser(house.loop)
        house.enter(client, body, path=b"/v1/responses")
        told = finish(house, client)
        assert told.fault is Fault.OVERLOADED
        assert (house.target.calls[0].pauses, client.end) == (1, "cut")
        assert len(client.body) < 4 * FREE_BYTES
        house.loop.run(100.0)
        house.check_empty()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (b"/v1/chat/completions", {"messages": HELLO}),
        (b"/v1/messages", {"messages": HELLO, "max_tokens": 9}),
        (b"/v1/responses", {"input": "hi"}),
        (b"/api/chat", {"messages": HELLO}),
        (b"/api/generate", {"prompt": "hi"}),
    ],
)
def test_a_text_of_no_letter_amid_others_is_no_write_of_no_bytes(
    path: bytes, asked: dict[str, object]
) -> None:
    house = House(lambda request: start(request, generation=None))
    tokens = [text(word) for word in ("a", "b", "", "", "c", "")] + [STOP + DONE]
    house.target.steps = [[(0.0, (200, SSE)), *[(1.0, token) for token in tokens]]]
    client = Browser(house.loop)
    body = msgspec.json.encode({"model": "m", "stream": True, **asked})
    house.enter(client, body, path=path)
    told = finish(house, client)
    assert (told.fault, client.end) == (Fault.NONE, "whole")
    assert all(client.got), "which would end the chunks"
    house.check_empty()


def test_the_arguments_of_a_call_need_room_until_they_are_whole() -> None:
    called = b'{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"%b"}}]}'
    arguments = [called % b'{\\"a\\":\\"', *[called % (b"x" * FREE_BYTES)] * 3]
    told = ride(*[(1.0, text("").replace(b'{"content":""}', each)) for each in arguments], room=0)
    assert (told.fault, told.at) == (Fault.OVERLOADED, late(22.0))


def test_a_whole_answer_for_a_client_that_streams_needs_room_wherever_its_reads_end() -> None:
    part = b" " * FREE_BYTES + b"\n\n"
    told = ride((1.0, b"{"), (1.0, part), (1.0, part), json=True, room=0, generation=None)
    assert (told.fault, told.at) == (Fault.OVERLOADED, late(22.0))


def test_room_and_client_must_both_be_there_before_reading_goes_on() -> None:
    told = ride((1.0, text("a") + LARGE[:-9]), room=0, blocks={0: 10.0}, generation=None)
    assert (told.fault, told.at) == (Fault.OVERLOADED, late(21.0))
    assert told.house.target.calls[0].pauses == 2


def test_an_end_in_the_midst_of_an_event_is_a_fault_though_its_client_is_behind() -> None:
    told = ride((1.0, text("a")), (1.0, text("b")[:-1]), (1.0, END), blocks={1: 30.0})
    assert (told.fault, told.at, told.client.end) == (Fault.UNFINISHED, 3.0, "cut")


def test_a_whole_answer_goes_out_as_its_client_takes_it() -> None:
    house, client = Ask(stream=False, blocks={0: 20.0, 2: 30.0}).prepare(
        (0, text("x" * PIECE * 4)), (1, STOP + DONE)
    )
    house.loop.run(20.0)
    assert (client.end, len(client.got)) == ("", 1)
    assert not house.records
    house.loop.run(32.0)
    assert (client.end, house.records[0].status) == ("whole", 200)
    house.check_empty()
    assert [record.outcome for record in house.records] == ["success"]


def test_a_whole_answer_that_nobody_reads_is_given_up() -> None:
    house, client = Ask(stream=False, blocks={1: inf}).prepare(
        (0, text("x" * PIECE * 4)), (1, STOP + DONE)
    )
    house.loop.run(1.0 + SLOW_CLIENT + 1.0)
    assert (client.end, len(client.got)) == ("abort", 2)
    assert [record.outcome for record in house.records] == ["abandoned"]
    house.check_empty()


# Waiting clients


def test_a_client_that_waits_is_kept_awake_after_its_head_and_then_each_period() -> None:
    told = ride((47.0, text("a")), (30.0, STOP + DONE), head=15.0)
    beats = [
        at for part, at in zip(told.client.got, told.client.at, strict=True) if part == KEEP_ALIVE
    ]
    assert [at - told.house.began for at in beats] == [
        late(15.0),
        late(25.0),
        late(35.0),
        late(45.0),
    ]
    assert told.parts[0].startswith(b': supervisor {"target":"n:2","attempts":2,"shift":null,')
    assert b"x-supervisor-target" not in told.client.head


def test_who_gets_it_whole_is_not_kept_awake() -> None:
    told = ride((47.0, text("a")), (1.0, STOP + DONE), head=15.0, stream=False)
    assert (told.fault, len(told.client.got)) == (Fault.NONE, 1)


def test_an_answer_that_is_held_is_kept_awake_until_it_is_whole() -> None:
    told = ride((12.0, text("a")), (12.0, STOP + DONE), head=15.0, hold=True)
    assert (told.fault, told.client.got[0]) == (Fault.NONE, KEEP_ALIVE)


def test_a_client_that_does_not_read_its_keepalives_gets_no_more_of_them() -> None:
    told = ride((100.0, text("a")), (1.0, STOP + DONE), head=15.0, blocks={0: 53.0},
                timers=structs.replace(TIMERS, first_content=200.0))  # fmt: skip
    beats = [
        at for part, at in zip(told.client.got, told.client.at, strict=True) if part == KEEP_ALIVE
    ]
    assert [at - told.house.began for at in beats] == [late(at) for at in (15.0, 75.0, 85.0, 95.0)]


def test_an_error_after_a_keepalive_is_an_event_and_a_cut() -> None:
    told = ride((20.0, RESET), head=15.0)
    assert (told.client.end, told.client.status) == ("cut", 200)
    assert told.client.got[-1].startswith(b'data: {"error":')
    assert told.house.records[0].status == 200, "so it went out"


@pytest.mark.parametrize("stream", [True, False])
def test_a_line_has_the_status_that_went_out(*, stream: bool) -> None:
    told = ride((0.0, text("a") + STOP + DONE), stream=stream)
    assert (told.client.status, told.house.records[0].status) == (200, 200)
    lost = ride((0.0, RESET), stream=stream)
    assert (lost.client.status, lost.house.records[0].status) == (502, 502)


def ride_at_once(generation: Generation | None) -> House:
    return Ask(generation=generation).ride((0.0, text("a")), (0.0, END)).house


@pytest.mark.parametrize(("generation", "told"), [(None, 1), ("C", 0)])
def test_what_a_providers_head_says_is_left_is_told_with_its_first_content(
    generation: Generation | None, told: int
) -> None:
    limits = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
    ask = Ask(generation=generation, head_of=None)
    ride = ask.ride((2.0, (200, SSE | limits)), (0.5, text("a")), (0.0, END))
    [seen] = [event for _, event in ride.house.events if isinstance(event, ContentSeen)]
    assert (seen.head, seen.ttft) == (2.0, 2.5)
    [at_once] = [e for _, e in ride_at_once(generation).events if isinstance(e, ContentSeen)]
    assert (at_once.head, at_once.ttft) == (0.0, 0.0)
    assert seen.allowances == (Allowance("requests", 0, 360.0),) * told
