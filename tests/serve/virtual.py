"""A house without sockets: its time, its client, its target and its core are the test's.

Requests are real from the first byte of their body to their record; what surrounds them is called
in an order that the test sets, and checks that it is not called out of order.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import inf

import msgspec

from exo_supervisor.core.books.book import Prices
from exo_supervisor.core.effects import (
    CancelAttempt,
    Effect,
    KeepAwake,
    Refuse,
    StartAttempt,
    Timers,
)
from exo_supervisor.core.events import AttemptSettled, Event, RequestArrived, RequestEnded
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, Generation, ModelId, RequestId
from exo_supervisor.core.outcomes import Failure, Fault, Refusal
from exo_supervisor.core.policy import DEFAULT_CLIENT, Policy
from exo_supervisor.core.requests.admission import Gate
from exo_supervisor.errors import BrokenMachineError
from exo_supervisor.http.call import Listener
from exo_supervisor.http.faults import HttpError, NetworkFault, Stage
from exo_supervisor.http.head import Head
from exo_supervisor.http.headers import Headers
from exo_supervisor.http.url import Proxy
from exo_supervisor.runtime.policy_and_keys import KeysByName
from exo_supervisor.serve.context import Context
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.exchange import Exchange
from exo_supervisor.serve.ingress import Ingress
from exo_supervisor.serve.inspector import Inspector
from exo_supervisor.serve.live import LiveRequests
from exo_supervisor.serve.reception import Reception
from exo_supervisor.serve.room import Room
from exo_supervisor.serve.upstream import Upstream
from exo_supervisor.views.request_done import RequestDone, RequestLine

TIMERS = Timers(connect=2.0, headers=8.0, first_content=30.0, first_content_max=300.0, stall=20.0)
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
HELLO = [{"role": "user", "content": "hi"}]
NO_KEYS: KeysByName = {f"n:{n}": (None,) for n in range(9)}


class Alarm:
    """One thing that the loop does later."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback, self.cancelled = callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose time stands still between two events."""

    def __init__(self) -> None:
        self.now = 100.0
        self._soon: deque[Callable[[], None]] = deque()
        self._later: list[tuple[float, int, Alarm]] = []
        self._turn = count()

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Alarm:
        alarm = Alarm(callback)
        heappush(self._later, (self.now + delay, next(self._turn), alarm))
        return alarm

    def settle(self) -> None:
        """Do what is to be done at this instant, turn by turn: timers first, as uvloop does."""
        while self._soon or (self._later and self._later[0][0] <= self.now):
            while self._later and self._later[0][0] <= self.now:
                alarm = heappop(self._later)[2]
                if not alarm.cancelled:
                    alarm.callback()
            for _ in range(len(self._soon)):
                self._soon.popleft()()

    def run(self, seconds: float) -> None:
        """Let time go by."""
        until = self.now + seconds
        self.settle()
        while self._later and self._later[0][0] <= until:
            self.now = self._later[0][0]
            self.settle()
        self.now = until

    def jump(self, seconds: float) -> None:
        """Let time go by in which this process does not run."""
        self.now += seconds

    @property
    def idle(self) -> bool:
        return not self._soon and all(alarm.cancelled for _, _, alarm in self._later)


@dataclass
class Browser:
    """A client's connection; `blocks` tells for how long the nth write stays unread."""

    loop: Loop
    blocks: dict[int, float] = field(default_factory=dict[int, float])
    uid: int | None = 1000
    handler: Reception | None = None
    full: bool = False
    head: bytes = b""
    length: int | None = None
    got: list[bytes] = field(default_factory=list[bytes])
    at: list[float] = field(default_factory=list[float])
    end: str = ""
    continued: int = 0

    def send_continue(self) -> None:
        self.continued += 1

    def start(self, head: bytes, length: int | None = None) -> None:
        assert not self.head, "one head"
        assert not self.end
        self.head, self.length = head, length

    def write(self, data: bytes) -> None:
        assert self.head, "a head comes first"
        assert not self.end, "nothing after the end"
        assert data
        blocked = self.blocks.get(len(self.got), 0.0)
        self.got.append(data)
        self.at.append(self.loop.now)
        if blocked:
            self.full = True
            if blocked < inf:
                self.loop.call_later(blocked, self.read)

    def read(self) -> None:
        """Take all that was sent."""
        self.full = False
        if self.handler is not None and not self.end:
            self.handler.writable()

    def finish(self, data: bytes = b"") -> None:
        if data:
            self.write(data)
        assert self.head
        assert not self.end
        self.end = "whole"
        if self.length is not None:
            assert len(self.body) == self.length

    def abort(self) -> None:
        assert not self.end or self.full
        self.end = "abort"

    def abort_after(self, data: bytes, seconds: float) -> None:
        assert seconds == 1.0
        if data:
            self.write(data)
        self.end = "cut"

    @property
    def body(self) -> bytes:
        return b"".join(self.got)

    @property
    def status(self) -> int:
        return int(self.head[9:12]) if self.head else 0


class Call:
    """One request that was sent to the target."""

    def __init__(self, loop: Loop, listener: Listener, url: str, body: bytes) -> None:
        self._loop, self.listener, self.url, self.body = loop, listener, url, body
        self.paused, self.headed, self.end = False, False, ""
        self.pauses, self.sent, self.head = 0, len(body), b"POST / HTTP/1.1\r\n\r\n"
        self.connected: float | None = None
        self.take_chunk: Callable[[bytes, bytes, int], bool] | None = None
        self.taken = 0
        """Reads that went whole, as chunks that no parser saw."""
        self.breaks = False
        """Whether to read on fails."""
        self._waiting: deque[Callable[[], None]] = deque()

    def pause_reading(self) -> None:
        assert not self.end
        self.paused = True
        self.pauses += 1

    def resume_reading(self) -> None:
        assert not self.end
        if self.breaks:
            raise ZeroDivisionError
        self.paused = False
        self._loop.call_soon(self._go_on)

    def leave(self) -> None:
        assert not self.end
        self.end = "left"

    def close(self) -> None:
        assert not self.end
        self.end = "closed"

    def says(self, said: "Said") -> None:
        """Call back, as soon as it is read."""
        self._waiting.append(lambda: self._tell(said))
        if not self.paused:
            self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self.paused and not self.end:
            self._waiting.popleft()()

    def _take_whole(self, said: bytes) -> bool:
        head, take = b"%x\r\n" % len(said), self.take_chunk
        return take is not None and take(b"%b%b\r\n" % (head, said), head, len(said))

    def _tell(self, said: "Said") -> None:
        if isinstance(said, HttpError):
            self.end = "lost"
            self.listener.lost(said)
        elif isinstance(said, tuple):
            status, fields = said
            lines = "".join(f"\r\n{name}: {value}" for name, value in fields.items())
            self.listener.head(status, Headers(lines.encode("latin-1")))
        elif said and not self._take_whole(said):
            self.listener.data(said)
        elif said:
            self.taken += 1
        else:
            self.end = "ended"
            self.listener.end()


Said = bytes | HttpError | tuple[int, dict[str, str]]
RESET = HttpError(NetworkFault.RESET, Stage.BODY)


@dataclass
class Target:
    """What requests are sent to; `steps` of the nth call are said by themselves."""

    loop: Loop
    steps: list[list[tuple[float, Said]]] = field(default_factory=list[list[tuple[float, Said]]])
    calls: list[Call] = field(default_factory=list[Call])

    def send(
        self, listener: Listener, method: str, url: str, *, headers: bytes, body: bytes,
        connect_timeout: float, proxy: Proxy | None,
    ) -> Call:  # fmt: skip
        assert (method, proxy) == ("POST", None)
        assert headers
        assert connect_timeout
        call = Call(self.loop, listener, url, body)
        call.head += headers
        after = 0.0
        for wait, said in self.steps[len(self.calls)] if len(self.calls) < len(self.steps) else ():
            after += wait
            self.loop.call_later(after, partial(call.says, said))
        self.calls.append(call)
        return call


def start(
    request: RequestId, attempt: int = 1, *, generation: Generation | None = "C",
    timers: Timers = TIMERS, hold: bool = False, continues: bool = False, resumes: bool = False,
) -> StartAttempt:  # fmt: skip
    """Send a request to a node or a provider."""
    return StartAttempt(
        request=request, attempt=attempt, target=Address(f"n:{attempt}"),
        url=f"http://n:{attempt}", model=ModelId("m"), generation=generation, timers=timers,
        shift=None, commit_at_answer=hold, continues=continues, resumes=resumes,
    )  # fmt: skip


def refusal(request: RequestId, fault: Fault = Fault.RESET) -> Refuse:
    """Tell a client that nobody served it."""
    late = fault is Fault.DEADLINE
    told = Refusal(502, "attempts_failed", "nobody served it", outcome="failure")
    if late:
        told = Refusal(504, "deadline", "nobody served it", outcome="abandoned")
    return Refuse(request=request, refusal=told)


def begun(
    headers: Mapping[str, str] | None = None, repeated: tuple[str, ...] = (),
    path: bytes = b"/v1/chat/completions",
) -> Head:  # fmt: skip
    """Begin a request."""
    said = dict(headers or {})
    waits = said.get("expect") == "100-continue"
    return Head(
        b"POST", path, said, repeated, is_old=False, expects_continue=waits,
    )  # fmt: skip


Order = Callable[[RequestId], StartAttempt | Refuse]


class House:
    """Serves requests to fakes; `orders` are what the core says, one after each question."""

    def __init__(
        self, *orders: Order | None, head: float = 15.0,
        total: float = 900.0, room: int | Room = 2**28, max_requests: int = 10,
        max_body: int = 100_000, hide: Callable[[str], str] = str, prices: Prices | None = None,
        keys: KeysByName = NO_KEYS,
    ) -> None:  # fmt: skip
        self.loop = Loop()
        self.orders: list[Order | None] = list(orders)
        self.events: list[tuple[float, Event]] = []
        self.done: list[RequestDone] = []
        self.broken = False
        self.breaks: tuple[type[object], ...] = ()
        """Events that break the machine; then nothing can be asked of it any more."""
        self.target = Target(self.loop)
        self.room = room if isinstance(room, Room) else Room(room)
        self.gate = Gate(max_requests)
        self.live = LiveRequests(self.loop, self.loop.time)
        catalog = Machine(Policy(), 0.0).catalog
        upstream = Upstream(self.target, self.target, lambda: keys, clock=self.loop.time)
        self.ingress = Ingress(
            Context(
                self.ask, upstream, total, head, self.room, self.loop.time, lambda: 0.5,
                lambda: 7.0, hide, prices or Prices({}, {}),
            ),
            self.gate, self.live, self.done.append, max_body, catalog, lambda _: None,
            Inspector(catalog),
        )  # fmt: skip
        self.began, self.size = self.loop.now, 0
        self.rule = DEFAULT_CLIENT
        """Of whoever asks."""

    @property
    def records(self) -> list[RequestLine]:
        return [done.line for done in self.done]

    def ask(self, event: Event) -> None:
        if self.broken:
            raise BrokenMachineError("a half-changed machine decides nothing more")
        if isinstance(event, self.breaks):
            self.broken = True
            raise ZeroDivisionError
        self.events.append((self.loop.now - self.began, event))
        match event:
            case RequestArrived(request=request):
                self._order(request)
            case AttemptSettled(failure=Failure(Fault.NONE)):
                return
            case AttemptSettled(request=request, failure=failure, committed=committed):
                if self.orders:
                    self._order(request)
                elif not committed:
                    self.perform(refusal(request, failure.fault))
            case _:
                return

    def _order(self, request: RequestId) -> None:
        order = self.orders.pop(0) if self.orders else None
        if order is not None:
            self.perform(order(request))

    def perform(self, effect: Effect) -> None:
        assert isinstance(effect, StartAttempt | Refuse | CancelAttempt | KeepAwake)
        self.live.deliver(effect)

    def enter(
        self, browser: Browser, body: bytes, headers: dict[str, str] | None = None,
        path: bytes = b"/v1/chat/completions",
    ) -> None:  # fmt: skip
        """Have a client send its request."""
        dispatch = DispatchHead(begun(headers, path=path), None, self.rule)
        browser.handler = self.ingress.begin(browser, dispatch, len(body))
        browser.handler.data(body)
        browser.handler.end()

    def chat(
        self, *, stream: bool = True, headers: dict[str, str] | None = None,
        blocks: dict[int, float] | None = None, **more: object,
    ) -> Browser:  # fmt: skip
        """Have a client ask something."""
        browser = Browser(self.loop, blocks or {})
        asked = {"model": "m", "messages": HELLO, "stream": stream, **more}
        self.enter(browser, msgspec.json.encode(asked), headers)
        return browser

    def exchange(self, browser: Browser) -> Exchange:
        assert browser.handler is not None
        assert browser.handler.exchange is not None
        return browser.handler.exchange

    def settled(self) -> Iterator[AttemptSettled]:
        return (event for _, event in self.events if isinstance(event, AttemptSettled))

    def check_empty(self) -> None:
        """Check that nothing is left of any request, and that each was told of once."""
        self.loop.run(1.0)
        assert len(self.live) == 0
        assert (self.gate.requests, self.gate.bodies.sending, self.gate.bodies.held) == (0, 0, 0)
        assert (len(self.room), self.room.left) == (0, self.room_size)
        assert self.loop.idle
        assert all(call.end for call in self.target.calls)

    @property
    def room_size(self) -> int:
        return self.room.most

    @property
    def ended(self) -> int:
        return sum(isinstance(event, RequestEnded) for _, event in self.events)
