"""Whatever happens in whatever order, a request ends once, in a way that its client can tell."""

import json
from math import inf

from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.effects import CancelAttempt, KeepAwake, Refuse, StartAttempt
from exo_supervisor.core.events import AttemptSettled, Event, RequestArrived, RequestEnded
from exo_supervisor.core.names import Generation, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.serve.test_attempt import ERROR, ROLE, STOP, prefill, text
from tests.serve.virtual import JSON, SSE, Browser, Call, House, refusal, start

HEADS: list[tuple[int, dict[str, str]]] = [
    (200, SSE),
    (200, SSE),
    (200, SSE),
    (200, JSON),
    (500, JSON),
    (200, {}),
]
WHOLE = b'{"choices":[{"message":{"content":"w"},"finish_reason":"stop"}]}'
PIECES = {
    "role": ROLE, "a": text("a"), "b": text("b"), "two": text("c") + text("d"), "stop": STOP,
    "done": DONE, "end": STOP + DONE, "error": ERROR, "prefill": prefill(9),
    "large": text("x" * 40_000), "begun": text("a")[:20], "gone on": text("a")[20:],
    "comment": b": keep-alive\n\n", "whole": WHOLE, "broken": b"data: {\n\n",
}  # fmt: skip
FAULTS = [
    HttpError(NetworkFault.RESET, Stage.HEAD), HttpError(NetworkFault.TIMEOUT, Stage.CONNECT),
    HttpError(NetworkFault.PAYLOAD, Stage.BODY),
]  # fmt: skip


class Core(House):
    """Keeps books as the core does: each attempt is settled once, each request ends once."""

    def __init__(self) -> None:
        super().__init__(head=5.0, total=200.0, room=2**17)
        self.open: dict[RequestId, int] = {}
        self.waiting: dict[RequestId, None] = {}
        self.tries: dict[RequestId, int] = {}
        self.generation: Generation | None = "C"
        self.hold = self.continues = self.late = False
        self.over: set[RequestId] = set()
        self.refused: set[RequestId] = set()

    def ask(self, event: Event) -> None:
        self.events.append((self.loop.now, event))
        match event:
            case RequestArrived(request=request):
                assert request not in self.over
                self.go_on(request)
            case AttemptSettled(request=request, attempt=attempt, failure=failure):
                assert self.open.pop(request) == attempt, "each attempt is settled once"
                if failure.fault in (Fault.NONE, Fault.CLIENT_LEFT):
                    if not event.unsent:
                        self.over.add(request)
                elif event.resumable and self.tries[request] < 4:
                    self.go_on(request, resumes=True)
                elif event.committed:
                    self.over.add(request)
                else:
                    self.go_on(request)
            case RequestEnded(request=request):
                late = request in self.over
                assert not late or request in self.refused, "a request ends once"
                self.refused.discard(request)
                self.open.pop(request, None)
                self.waiting.pop(request, None)
                self.over.add(request)
            case _:
                return

    def go_on(self, request: RequestId, *, resumes: bool = False) -> None:
        if self.late and not resumes:
            self.waiting[request] = None
        else:
            self.perform(self.order(request, resumes=resumes))

    def order(self, request: RequestId, *, resumes: bool = False) -> StartAttempt | Refuse:
        tries = self.tries[request] = self.tries.get(request, 0) + 1
        if tries > 4:
            self.over.add(request)
            self.refused.add(request)  # it may leave before it hears of that
            return refusal(request)
        self.open[request] = tries
        return start(
            request, tries, generation=self.generation, hold=self.hold,
            continues=self.continues, resumes=resumes,
        )  # fmt: skip


class AnyOrder(sm.RuleBasedStateMachine):
    """Up to three requests, whose targets, clients, core and time do as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.house = Core()
        self.clients: list[Browser] = []

    def calls(self) -> list[Call]:
        return [call for call in self.house.target.calls if not call.end]

    def here(self) -> list[Browser]:
        return [client for client in self.clients if client.handler and not client.handler.over]

    @sm.rule(
        stream=st.booleans(), hold=st.booleans(), continues=st.booleans(),
        late=st.booleans(), generation=st.sampled_from(("A", "C", None)),
        deadline=st.sampled_from((None, 7.0)),
    )  # fmt: skip
    def arrive(
        self, *, stream: bool, hold: bool, continues: bool, late: bool,
        generation: Generation | None, deadline: float | None,
    ) -> None:  # fmt: skip
        if len(self.here()) < 3:
            house = self.house
            house.hold, house.continues, house.late = hold, continues, late
            house.generation = generation
            headers = {} if deadline is None else {"x-supervisor-deadline": str(deadline)}
            self.clients.append(house.chat(stream=stream, headers=headers))

    @sm.precondition(lambda self: bool(self.calls()))
    @sm.rule(who=st.integers(0, 2), head=st.sampled_from(HEADS))
    def answers(self, who: int, head: tuple[int, dict[str, str]]) -> None:
        call = self.calls()[who % len(self.calls())]
        if not call.headed:
            call.headed = True
            call.says(head)

    @sm.precondition(lambda self: bool(self.calls()))
    @sm.rule(
        who=st.integers(0, 2), names=st.lists(st.sampled_from(list(PIECES)), min_size=1, max_size=3)
    )
    def says(self, who: int, names: list[str]) -> None:
        call = self.calls()[who % len(self.calls())]
        if call.headed:
            call.says(b"".join(map(PIECES.__getitem__, names)))

    @sm.precondition(lambda self: bool(self.calls()))
    @sm.rule(who=st.integers(0, 2))
    def ends(self, who: int) -> None:
        call = self.calls()[who % len(self.calls())]
        if call.headed:
            call.says(b"")

    @sm.precondition(lambda self: bool(self.calls()))
    @sm.rule(who=st.integers(0, 2), fault=st.sampled_from(FAULTS))
    def is_lost(self, who: int, fault: HttpError) -> None:
        self.calls()[who % len(self.calls())].says(fault)

    @sm.precondition(lambda self: bool(self.here()))
    @sm.rule(who=st.integers(0, 2))
    def stops_reading(self, who: int) -> None:
        client = self.here()[who % len(self.here())]
        client.blocks[len(client.got)] = inf

    @sm.precondition(lambda self: bool(self.here()))
    @sm.rule(who=st.integers(0, 2))
    def reads(self, who: int) -> None:
        client = self.here()[who % len(self.here())]
        if client.full:
            client.read()

    @sm.precondition(lambda self: bool(self.here()))
    @sm.rule(who=st.integers(0, 2))
    def leaves(self, who: int) -> None:
        client = self.here()[who % len(self.here())]
        assert client.handler is not None
        client.handler.gone()
        client.end = client.end or "left"

    @sm.rule(seconds=st.sampled_from((0.1, 3.0, 12.0, 65.0)))
    def time_goes_by(self, seconds: float) -> None:
        self.house.loop.run(seconds)

    @sm.precondition(lambda self: bool(self.house.open))
    @sm.rule(off=st.sampled_from((0, 0, 1)), vouch=st.booleans())
    def core_speaks(self, off: int, *, vouch: bool) -> None:
        request, attempt = next(iter(self.house.open.items()))
        if vouch:
            self.house.perform(KeepAwake(request=request, attempt=attempt + off))
        else:
            fault = Fault.STATE_LOST
            self.house.perform(CancelAttempt(request=request, attempt=attempt + off, fault=fault))

    @sm.precondition(lambda self: bool(self.house.waiting))
    @sm.rule()
    def core_goes_on(self) -> None:
        request = self.house.waiting.popitem()[0]
        self.house.perform(self.house.order(request))

    @sm.invariant()
    def nobody_takes_a_part_for_the_whole(self) -> None:
        for client in self.clients:
            body, status = client.body, client.status
            streams = b"text/event-stream" in client.head
            if client.end == "whole" and streams:
                assert body.endswith(DONE)
                assert body.count(DONE) == 1
                assert b'"error":' not in body
            elif client.end == "whole":
                assert ("error" in json.loads(body)) == (status != 200)
            else:
                assert DONE not in body or client.full or client.end in ("abort", "left")
            if client.end == "cut":
                assert b'data: {"error":' in body.rsplit(b"\n\n", 2)[-2]

    @sm.invariant()
    def each_request_that_is_over_was_told_of_once(self) -> None:
        over = sum(1 for client in self.clients if client.handler and client.handler.over)
        assert len(self.house.records) == over
        assert len(self.house.live) == len(self.clients) - over

    def teardown(self) -> None:
        for client in self.here():
            assert client.handler is not None
            client.handler.gone()
        self.house.loop.run(1.0)
        assert not self.house.open, "every attempt was given back"
        self.house.check_empty()


TestAnyOrder = AnyOrder.TestCase
