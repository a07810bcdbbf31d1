"""One chat on its way in: its body, as far as the house has room for it, then its exchange.

It is here from its head to its line in the log: what its client's connection, the core and the
ticker call back, and where all that it holds of the house is given back, once, in `ended`.
"""

from math import inf
from typing import TYPE_CHECKING

import structlog

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.core.requests.catalog import Route
from exo_supervisor.core.requests.clients import names_others
from exo_supervisor.runtime.supervise import describe_crash
from exo_supervisor.serve.crashes import guarded, guarded_part, refusal_of
from exo_supervisor.serve.dispatch_head import DispatchHead
from exo_supervisor.serve.encodings import BodyDecoder, too_large
from exo_supervisor.serve.exchange import Exchange, Order
from exo_supervisor.serve.interfaces import Client
from exo_supervisor.serve.live import Timer
from exo_supervisor.serve.request_id import new_request_id
from exo_supervisor.serve.response import Response
from exo_supervisor.views.request_done import RequestDone, RequestLine, in_micros
from exo_supervisor.wire.chat.defaults import fill
from exo_supervisor.wire.dialect import Operation

if TYPE_CHECKING:
    from exo_supervisor.serve.ingress import Ingress

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("serve")

BODY_WAIT = 30.0
"""Seconds for which the next part of a body is waited for."""
BODY_TOTAL = 60.0
"""Seconds that a body may take in all, and one more for each `SLOWEST` bytes that came."""
SLOWEST = 65_536


class Reception:
    """One request; `exchange` serves it from the end of its body on.

    Its `small` and `large` bytes are what the house holds of its body, for its `owner`.
    """

    __slots__ = (
        "_alarm", "_came", "_client", "_decoder", "_dispatch", "_ingress", "_looked_at", "_part_at",
        "_parts", "_receiving", "_stamped", "began", "exchange", "large", "over", "owner", "record",
        "response", "size", "small",
    )  # fmt: skip

    def __init__(self, ingress: "Ingress", client: Client, dispatch: DispatchHead) -> None:
        self._ingress, self._client, self._dispatch = ingress, client, dispatch
        self.began = began = ingress.context.clock()
        self.owner = client.uid
        framing, name = dispatch.operation.framing, new_request_id()
        self.record = RequestLine(
            name, client_uid=self.owner, client=dispatch.rule.name, dialect=framing.dialect
        )
        self.response = Response(client, name, framing)
        self._receiving = self.over = False
        self._parts: list[bytes] = []
        self._came = self.size = self._stamped = self.small = self.large = 0
        self._decoder: BodyDecoder | None = None
        self._part_at, self._looked_at = began, -1
        self._alarm: Timer | None = None
        self.exchange: Exchange | None = None
        ingress.live.add(name, self)

    # ---------------------------------------------------------------- the client's connection

    @guarded_part
    def begin(self, length: int | None) -> None:
        """Let the body come, unless its head is enough to refuse it."""
        dispatch = self._dispatch
        if dispatch.wrong is not None:
            self._refuse(dispatch.wrong)
            return
        try:
            if not dispatch.is_read:
                dispatch.read()
            self._admit(dispatch, length)
        except BadRequestError as bad:
            self._refuse(bad.refusal)

    @guarded_part
    def data(self, data: bytes) -> None:
        """Take a part of the body."""
        if not self._receiving:
            return
        self._came += len(data)
        try:
            if self._decoder is None:
                self._hold(data)
            else:
                for part in self._decoder.feed(data):
                    self._hold(part)
        except BadRequestError as bad:
            self._refuse(bad.refusal)

    @guarded
    def end(self) -> None:
        """Serve a request that has come whole, if there is a place left for it."""
        if not self._receiving:
            return
        self._receiving = False
        self._ingress.gate.bodies.end(self)
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        try:
            if self._decoder is not None:
                self._decoder.end()
            self._enter(body)
        except BadRequestError as bad:
            self._refuse(bad.refusal)

    @guarded
    def broken(self) -> None:
        """Refuse a body that is not what its head says."""
        if not self.over:
            text = "the body is not what its transfer-encoding says"
            self._refuse(Refusal(400, "bad_http", text))

    @guarded
    def gone(self) -> None:
        """Give everything back: the client left."""
        if self.exchange is not None:
            self.exchange.gone()
        elif not self.over:
            self.record.abandon()
            self.ended()

    @guarded
    def writable(self) -> None:
        """Go on: the client has taken what it was sent."""
        if self.exchange is not None:
            self.exchange.writable()

    # ---------------------------------------------------------------- the core, and time

    @guarded
    def take(self, order: Order) -> None:
        """Do as the core says."""
        if self.exchange is not None:
            self.exchange.take(order)

    @guarded
    def evict(self) -> None:
        """Make room for the body of another request."""
        self._refuse(_overloaded("the body came more slowly than others that needed its room"))

    @guarded
    def due(self, now: float) -> bool:
        """Look at all timers; true: look again once waiting bytes were read."""
        if self.exchange is not None:
            return not self.over and self.exchange.due(now)
        if not self._receiving:
            return False
        if self._came != self._stamped:
            self._stamped, self._part_at = self._came, now
        silent = now >= self._part_at + BODY_WAIT
        if not silent and now < self.began + BODY_TOTAL + self._came / SLOWEST:
            return False
        if self._looked_at != self._came:
            self._looked_at = self._came
            return True
        text = f"the body did not all come within {BODY_TOTAL:g} seconds"
        if silent:
            text = f"nothing more of the body came for {BODY_WAIT:g} seconds"
        self._refuse(Refusal(400, "bad_http", text))
        return False

    # ---------------------------------------------------------------- ends

    def crash(self, crash: Exception) -> None:
        """End after a fault of our own, and say so to the client and to the log."""
        log.error("request_crashed", request_id=self.record.request_id, crash=describe_crash(crash))
        if self.over:
            return
        refusal = refusal_of(crash)
        self.record.refuse(refusal)
        try:
            if not self.response.over:
                self.response.refuse(refusal)
        finally:
            if self.exchange is None:
                self.ended()
            else:
                self.exchange.give_up()

    def ended(self) -> None:
        """Give everything back, and tell of the end."""
        self.over = True
        ingress, record = self._ingress, self.record
        ingress.live.remove(record.request_id)
        if self._alarm is not None:
            self._alarm.cancel()
        if self.exchange is not None:
            ingress.gate.leave()
        self._receiving = False
        ingress.gate.bodies.close(self)
        # It knows us: held on to, both would wait for the garbage collector.
        exchange, self.exchange = self.exchange, None
        record.status = self.response.status
        record.duration = in_micros(ingress.context.clock() - self.began)
        if exchange is None:
            ingress.done(RequestDone(record))
            return
        done = exchange.told()
        ingress.done(done)
        if exchange.tap is not None:
            exchange.tap.end(done)

    # ---------------------------------------------------------------- within

    def _admit(self, dispatch: DispatchHead, length: int | None) -> None:
        most = self._ingress.max_body
        if dispatch.codings:
            self._decoder = BodyDecoder(dispatch.codings, most)
        if length is not None and length > most:
            raise BadRequestError(too_large(most))
        if not self._ingress.gate.begin(self):
            raise BadRequestError(_overloaded("as many requests as are allowed are in flight"))
        self._receiving = True
        if dispatch.head.expects_continue:
            self._client.send_continue()

    def _hold(self, part: bytes) -> None:
        ingress, size = self._ingress, len(part)
        if self.size + size > ingress.max_body:
            raise BadRequestError(too_large(ingress.max_body))
        if not ingress.gate.bodies.take(self, size, ingress.context.clock()):
            text = "the bodies of other requests take all the room there is"
            raise BadRequestError(_overloaded(text))
        self.size += size
        self._parts.append(part)

    def _enter(self, body: bytes) -> None:
        ingress, dispatch = self._ingress, self._dispatch
        operation, rule = dispatch.operation, dispatch.rule
        if not isinstance(operation, Operation):
            self._tell(operation.answer(body))
            return
        chat = operation.read(body, dispatch.head.headers)
        self.record.model = chat.model
        others = names_others(rule, chat.fields if chat.native is None else chat.native)
        if others is not None:
            raise BadRequestError(others)
        if chat.preload and self._may_have(chat.model):
            self._tell(chat.preload)
            return
        if ingress.catalog.defaults:
            chat = fill(chat, ingress.catalog.defaults_of(chat.model))
        chat = fill(chat, operation.defaults) if operation.defaults else chat
        if not ingress.gate.enter():
            raise BadRequestError(_overloaded("as many requests as are allowed are in flight"))
        self.exchange = exchange = Exchange(
            ingress.context, self, operation, chat, dispatch.headers, self.response, self.record
        )
        if ingress.inspector.inspection is not None:
            exchange.tap = ingress.inspector.tap(
                self.response, dispatch.head, body, chat.model, rule, dispatch.headers
            )
        if exchange.end_by != inf:
            self._alarm = ingress.live.look_at(self, exchange.end_by)
        ingress.started(self.record)
        exchange.begin()

    def _may_have(self, model: str) -> bool:
        """Say whether a model can be asked for; else it is asked for, to be told why not."""
        found = self._ingress.catalog.lookup_within(model, self._dispatch.rule.models)
        return isinstance(found, Route)

    def _tell(self, answer: bytes) -> None:
        """Answer without a target."""
        self.response.answer(answer)
        self.record.outcome = "success"
        self.ended()

    def _refuse(self, refusal: Refusal) -> None:
        self.record.refuse(refusal)
        self.response.refuse(refusal)
        self.ended()


def _overloaded(why: str) -> Refusal:
    return Refusal(503, "overloaded", f"{why}: try again in a moment", retry_after=1.0)
