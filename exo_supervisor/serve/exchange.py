"""One request from its body to its end: asks the core, does as it says, and tells what came of it.

Nothing is decided here. An exchange is the only task of its request; when its client leaves, the
server cancels it, and whatever it holds is given back without another wait.
"""

import random
from collections.abc import Callable
from math import inf
from zlib import crc32

import anyio
import msgspec
from msgspec import Struct

from exo_supervisor.core.effects import Refuse, StartAttempt
from exo_supervisor.core.events import AttemptSettled, Event, RequestArrived, RequestEnded
from exo_supervisor.core.keys import hide_shapes
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.continuation import Broken, Continuation
from exo_supervisor.serve.keepalive import Keepalive
from exo_supervisor.serve.last_look import ends_at
from exo_supervisor.serve.mailbox import Mailbox, Mailboxes
from exo_supervisor.serve.relay import SLOW_CLIENT, Bounds, Relay
from exo_supervisor.serve.request_headers import Wishes
from exo_supervisor.serve.response import SMALL, ClientLeftError, Reply, Served
from exo_supervisor.serve.room import Room, Share
from exo_supervisor.serve.upstream import Opened, Upstream, UpstreamError
from exo_supervisor.wire.chat.echo import without_request
from exo_supervisor.wire.openai.answer_writer import Aggregate
from exo_supervisor.wire.openai.inbound import ChatRequest
from exo_supervisor.wire.openai.json_body import Whole
from exo_supervisor.wire.openai.outbound import refused_of_client
from exo_supervisor.wire.openai.reader import Reading
from exo_supervisor.wire.openai.stream_writer import Answer


class House(Struct, frozen=True):
    """What every exchange shares."""

    ask: Callable[[Event], None]
    mailboxes: Mailboxes
    upstream: Upstream
    keepalive: Keepalive
    total: float
    room: Room = msgspec.field(default_factory=Room)
    clock: Callable[[], float] = anyio.current_time
    hide: Callable[[str], str] = hide_shapes
    """Takes our keys, and what looks like one, out of a target's words."""


class Account(Struct):
    """What is known of a request at its end, for its one line in the log."""

    request_id: str
    model: str | None = None
    served_model: str | None = None
    target: str | None = None
    attempts: int = 0
    shift: str | None = None
    outcome: str = "refused"
    code: str | None = None
    continued: int = 0
    ttft: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    malformed: int = 0


class Exchange:
    """Serves one chat request; `account` is filled in as things happen."""

    def __init__(
        self, house: House, chat: ChatRequest, wishes: Wishes, reply: Reply, account: Account,
        created: int,
    ) -> None:  # fmt: skip
        self._house, self._chat, self._wishes = house, chat, wishes
        self._reply, self._account, self._created = reply, account, created
        self._request = RequestId(account.request_id)
        self._began = self._house.clock()
        self._limit = inf if wishes.deadline is None else self._began + wishes.deadline
        self._until = min(self._limit, self._began + house.total)
        self._continuation = Continuation(chat)

    async def run(self) -> None:
        """Serve the request to its end. Raises ClientLeftError."""
        left = True
        with self._house.mailboxes.open(self._request) as mailbox:
            if self._chat.stream:
                self._house.keepalive.watch(self._reply)
            try:
                self._house.ask(self._arrived())
                await self._obey(mailbox)
                left = False
            finally:
                self._house.keepalive.forget(self._reply)
                if left:
                    self._house.ask(RequestEnded(request=self._request))

    def _arrived(self) -> RequestArrived:
        return RequestArrived(
            request=self._request,
            model=self._chat.model,
            deadline=self._until,
            draw=random.random(),  # noqa: S311 -- spreads load, guards nothing
            route=self._wishes.route,
            local_only=self._wishes.local_only,
            demands=self._chat.demands,
            hazards=self._chat.hazards,
            size=len(self._chat.fields["messages"]),
        )

    async def _obey(self, mailbox: Mailbox) -> None:
        while True:
            order = await mailbox.take()
            if isinstance(order, Refuse):
                self._house.keepalive.forget(self._reply)
                self._account.outcome = _outcome_of(order, self._account)
                self._account.code = order.code
                await self._reply.refuse(order)
                return
            if await self._attempt(order, mailbox):
                return

    async def _attempt(self, start: StartAttempt, mailbox: Mailbox) -> bool:
        """Make one attempt; True when the request is over with it."""
        account = self._account
        account.target, account.attempts, account.shift = start.target, start.attempt, start.shift
        chat = self._continuation.ask(start)
        mailbox.reading = reading = self._new_reading(start, chat)
        stream = Stream(self._reply, self._house.keepalive, start, reading)
        share = Share(self._house.room)
        relay = Relay(
            start,
            reading,
            stream if self._chat.stream else None,
            mailbox,
            self._house.ask,
            Bounds(
                self._house.clock(),
                self._until,
                self._limit,
                committed=start.resumes,
                share=share,
            ),
            self._house.clock,
        )
        error: UpstreamError | None = None
        try:
            opened = await self._open(start, chat, mailbox)
            fault = await self._carry(start, opened, relay, reading)
        except UpstreamError as caught:
            error, fault, opened = caught, caught.fault, None
        finally:
            share.close()
            self._note(reading, relay)
        fault = refused_of_client(fault, chat)
        if fault is Fault.NONE:
            account.outcome = "success"
        self._settle(start, relay, reading, fault, error)
        if fault is not Fault.NONE and relay.committed:
            broken = Broken(start.target, fault, reading.tokens)
            broken = self._continuation.broken(broken, spoke=relay.ttft is not None)
            if mailbox.full:  # another target goes on with it
                return False
            await self._break_off(broken)
        if fault is Fault.NONE and opened is not None:
            try:
                await opened.see_out()
            finally:  # a client that has its answer may leave meanwhile
                opened.close()
        return fault is Fault.NONE or relay.committed

    async def _carry(
        self, start: StartAttempt, opened: Opened, relay: Relay, reading: Reading
    ) -> Fault:
        """Carry the answer over, and hand it out whole.

        An answer that nobody wants is ended by closing its connection, at Exo, too: its
        `POST /v1/cancel/{id}` ends the stream, but about every second time leaves the runner at
        work to `max_tokens` (v1.0.71: the master forgets the task before the worker looks).
        """
        whole = False
        try:
            translator = reading if opened.is_stream else Whole(reading)
            fault = await relay.carry(opened, translator)
            if fault is Fault.NONE and not relay.finished:
                await self._hand_out(start, reading)
            whole = fault is Fault.NONE and not reading.enough
        finally:
            if not whole:
                opened.close()
        return fault

    async def _hand_out(self, start: StartAttempt, reading: Reading) -> None:
        """Give a client its whole answer; one that leaves it unread has left."""
        if not isinstance(reading, Aggregate):
            await self._reply.finish()
            return
        body = reading.result()
        if sum(map(len, body)) <= SMALL and not self._reply.behind:
            await self._reply.whole(body, _served(start, reading))
            return
        with anyio.move_on_after(SLOW_CLIENT):
            await self._reply.whole(body, _served(start, reading))
            return
        raise ClientLeftError

    async def _open(self, start: StartAttempt, chat: ChatRequest, mailbox: Mailbox) -> Opened:
        now, timers = self._house.clock(), start.timers
        limit = timers.first_content if timers.headers is None else timers.headers
        with ends_at(min(now + limit, self._until)) as scope:
            mailbox.scope = scope
            return await self._house.upstream.open(start, chat)
        if mailbox.cancelled is not None:
            raise UpstreamError(mailbox.cancelled)
        if self._house.clock() >= self._until:
            raise UpstreamError(Fault.DEADLINE)
        silent = Fault.FIRST_CONTENT_TIMEOUT if timers.headers is None else Fault.HEADERS_TIMEOUT
        raise UpstreamError(silent)

    def _new_reading(self, start: StartAttempt, chat: ChatRequest) -> Reading:
        kind = Answer if chat.stream else Aggregate
        reading = kind(
            id=f"chatcmpl-{self._request}",
            created=self._created,
            generation=start.generation,
            include_usage=chat.include_usage,
            max_tokens=chat.max_tokens,
            stop=chat.stop,
            asked=start.model,
            choices=chat.n or 1,
            seam=self._continuation.seam(start),
            hide=self._house.hide,
        )
        if isinstance(reading, Answer):
            self._continuation.follow(reading)
        return reading

    def _settle(
        self,
        start: StartAttempt,
        relay: Relay,
        reading: Reading,
        fault: Fault,
        error: UpstreamError | None,
    ) -> None:
        words = self._house.hide(reading.message if error is None else error.message)
        self._house.ask(
            AttemptSettled(
                request=self._request,
                attempt=start.attempt,
                fault=fault,
                draw=random.random(),  # noqa: S311 -- jitter
                retry_after=reading.retry_after if error is None else error.retry_after,
                status=0 if error is None else error.status,
                message=words,
                loggable=without_request(words, self._chat.fields),
                committed=relay.committed or fault is Fault.NONE,
                resumable=relay.committed and self._continuation.possible(),
                body=crc32(self._chat.fields["messages"]) if fault is Fault.DECLINED else 0,
            )
        )

    def _note(self, reading: Reading, relay: Relay) -> None:
        account = self._account
        if relay.ttft is not None:
            account.ttft = relay.began - self._began + relay.ttft
        account.continued = len(self._continuation)
        account.served_model = reading.served_model
        account.prompt_tokens = reading.prompt_tokens
        account.completion_tokens = reading.completion_tokens
        account.malformed += reading.malformed

    async def _break_off(self, broken: Broken) -> None:
        account = self._account
        if broken.fault is Fault.CLIENT_LEFT:
            raise ClientLeftError
        late = broken.fault is Fault.DEADLINE
        account.target = broken.target
        account.outcome = "abandoned" if late else "failure"
        account.code = "deadline" if late else "attempts_failed"
        after = f"after {broken.pieces} pieces of its answer"
        text = f"{broken.target} broke off {after} ({broken.fault.value}): this answer is not whole"
        if late:
            text = f"the deadline passed {after}: this answer is not whole"
        await self._reply.break_off(504 if late else 502, account.code, text)


class Stream:
    """A streaming client as a sink: the answer's first content commits it."""

    def __init__(
        self, reply: Reply, keepalive: Keepalive, start: StartAttempt, reading: Reading
    ) -> None:
        self._reply, self._keepalive = reply, keepalive
        self._start, self._reading = start, reading
        self.write, self.finish, self.drain = reply.write, reply.finish, reply.drain

    async def begin(self) -> None:
        """Commit: tell who answers, for the answer begins."""
        self._keepalive.forget(self._reply)
        await self._reply.commit(_served(self._start, self._reading))


def _served(start: StartAttempt, reading: Reading) -> Served:
    model = reading.served_model or start.model
    return Served(start.target, start.attempt, start.shift, model)


def _outcome_of(refusal: Refuse, account: Account) -> str:
    if refusal.code == "upstream_rejected":
        return "neutral"
    if refusal.code == "deadline":
        return "abandoned"
    return "failure" if account.attempts else "refused"
