"""`/supervisor/events`: what happens in the house, as server-sent events, as long as one listens.

What waits for a listener is bounded by the feed's ring; what it was sent and has not read, by a
batch and by what aiohttp and the kernel hold. One that takes nothing for long is cut.
"""

import anyio
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import no_route, wrong_method
from exo_supervisor.serve.peer import client_of, user_at
from exo_supervisor.views.event_feed import (
    BadEventIdError,
    EventFeed,
    Subscription,
    TooManyListenersError,
)
from exo_supervisor.views.now import PERIOD, Pulse

EVENTS = "/supervisor/events"
KEEPALIVE = 5.0
"""Seconds after which a listener to whom nothing was told is told so."""
PACE = 0.05
"""Seconds in which news are gathered into one write."""
SLOW_LISTENER = 60.0
"""Seconds for which a listener may take nothing of what it is sent."""
_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "server": "exo-supervisor",
}


class EventStream:
    """Answers one listener each.

    `slow` is for how many seconds it may take nothing, `silence` for how many it is told nothing.
    """

    def __init__(
        self, pulse: Pulse, authority: Authority, *,
        slow: float = SLOW_LISTENER, silence: float = KEEPALIVE,
    ) -> None:  # fmt: skip
        self._pulse, self._feed = pulse, pulse.feed
        self._slow, self._silence = slow, silence
        self._authority = authority

    async def look(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        """Tell until the listener leaves, or the service drains. Raises BadRequestError."""
        if rest:
            raise no_route(f"there is only {EVENTS}")
        if request.method != "GET":
            raise wrong_method(EVENTS, "GET")
        last = request.headers.get("last-event-id") or request.query.get("last_event_id")
        news = News(self._feed)
        try:
            whose = client_of(request).name, user_at(request)
            sees = self._authority.sees(request)
            listener = self._feed.listen(last, news.wake, sees, whose)
        except BadEventIdError as bad:
            raise BadRequestError(Refusal(400, "bad_header", f"last-event-id: {bad}")) from None
        except TooManyListenersError as full:
            refusal = Refusal(503, "overloaded", str(full), retry_after=PERIOD)
            raise BadRequestError(refusal) from None
        with listener:
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            if not await self._tell(response, listener, news) and request.transport is not None:
                request.transport.abort()
        return response

    async def _tell(
        self, response: web.StreamResponse, listener: Subscription, news: "News"
    ) -> bool:
        """Tell to the end of all; False: the listener took nothing for too long."""
        feed, pulse, seen = self._feed, self._pulse, 0
        told_at = anyio.current_time()
        while True:
            now = anyio.current_time()
            if not (text := listener.take()):
                pulse.look(now)
                if pulse.number != seen:
                    seen = pulse.number
                    text = feed.framed("now", pulse.text, listener.after)
                elif feed.closed:
                    return True
                elif now >= told_at + self._silence:
                    text = b": keep-alive\n\n"
            if not text:
                await news.wait(min(PERIOD, self._silence))
                continue
            told_at = now
            with anyio.move_on_after(self._slow) as news.writing:
                await response.write(text)
            if news.writing.cancelled_caught:
                return False


class News:
    """Wakes one who waits for events; who cannot take them at the end of all is given up."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._came = anyio.Event()
        self.writing = anyio.CancelScope()

    def wake(self) -> None:
        self._came.set()
        if self._feed.closed:
            self.writing.cancel()

    async def wait(self, seconds: float) -> None:
        """Wait for news, at most so long, and let more of them gather."""
        with anyio.move_on_after(seconds):
            await self._came.wait()
            await anyio.sleep(PACE)
        self._came = anyio.Event()
