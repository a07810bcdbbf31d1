"""Where the conductor leaves what is to be done for one request."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from exo_supervisor.core.effects import CancelAttempt, KeepAwake, Refuse, StartAttempt
from exo_supervisor.core.names import RequestId, Target
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.openai.reader import Reading

Order = StartAttempt | Refuse


class Mailbox:
    """One request's orders; there is never more than one, since each answers one event."""

    def __init__(self) -> None:
        self._order: Order | None = None
        self._arrived: anyio.Event | None = None
        self._attempt = 0
        self.target: Target | None = None
        self.lived_at: float | None = None
        """When the answer of the attempt that runs made progress last."""
        self.keep_awake = False
        """Somebody vouches for the attempt, and its client is to see that."""
        self.cancelled: Fault | None = None
        self.reading: Reading | None = None
        """What reads the answer of the attempt that runs."""
        self.scope: anyio.CancelScope | None = None
        """The scope that waits on the target now; cancelling an attempt means cancelling it."""

    @property
    def full(self) -> bool:
        """Whether an order waits."""
        return self._order is not None

    def put(self, order: Order) -> None:
        """Leave an order."""
        self._order = order
        if self._arrived is not None:
            self._arrived.set()

    def cancel(self, effect: CancelAttempt) -> None:
        """End the attempt that runs, unless it is another one by now or goes on after all."""
        after, lived_at = effect.unless_after, self.lived_at
        if after is not None and lived_at is not None and lived_at > after:
            return
        if effect.attempt == self._attempt:
            self.cancelled = effect.fault
            self._interrupt()

    def vouch(self, effect: KeepAwake) -> None:
        """Have the client of the attempt that runs kept awake, unless it is another one by now."""
        if effect.attempt == self._attempt:
            self.keep_awake = True
            self._interrupt()

    def _interrupt(self) -> None:
        if self.scope is not None:
            self.scope.cancel()

    async def take(self) -> Order:
        """Wait for the next order; at once, without a task switch, if it is there already."""
        while self._order is None:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        order, self._order, self._arrived = self._order, None, None
        self.cancelled, self.keep_awake, self.lived_at = None, False, None
        if isinstance(order, StartAttempt):
            self._attempt, self.target = order.attempt, order.target
        return order


class Mailboxes:
    """Owns the mailboxes of all requests in flight; each leaves with its request."""

    def __init__(self) -> None:
        self._boxes: dict[RequestId, Mailbox] = {}

    def __len__(self) -> int:
        return len(self._boxes)

    def lived_at(self, target: Target) -> float | None:
        """Tell when an answer of a target made progress last; None: none did that runs now."""
        lived = (box.lived_at for box in self._boxes.values() if box.target == target)
        return max((at for at in lived if at is not None), default=None)

    def deliver(self, effect: StartAttempt | Refuse | CancelAttempt | KeepAwake) -> None:
        """Hand an effect to its request, if that is still there."""
        box = self._boxes.get(effect.request)
        if box is None:
            return
        if isinstance(effect, CancelAttempt):
            box.cancel(effect)
        elif isinstance(effect, KeepAwake):
            box.vouch(effect)
        else:
            box.put(effect)

    def reading(self, request: RequestId) -> Reading | None:
        """Look up what reads a request's answer now."""
        box = self._boxes.get(request)
        return None if box is None else box.reading

    @contextmanager
    def open(self, request: RequestId) -> Generator[Mailbox]:
        """Keep a mailbox for as long as the `with` block runs."""
        box = self._boxes[request] = Mailbox()
        try:
            yield box
        finally:
            del self._boxes[request]
