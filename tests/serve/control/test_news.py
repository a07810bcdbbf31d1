"""A listener sleeps until there is news, and lets a moment's news gather."""

from typing import Any

import anyio
import pytest

from exo_supervisor.core.effects import say
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.policy import Policy
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.event_stream import PACE, EventStream, News
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.now import Pulse, Tokens
from exo_supervisor.views.tally import Tally


async def test_news_end_a_wait_a_moment_later_and_each_wait_is_for_its_own() -> None:
    news = News(EventFeed("0" * 16, str))
    async with anyio.create_task_group() as tasks:
        began = anyio.current_time()
        await news.wait(5.0)
        assert anyio.current_time() - began == pytest.approx(5.0)
        for _ in range(2):
            began = anyio.current_time()
            tasks.start_soon(later, 1.0, news)
            await news.wait(5.0)
            assert anyio.current_time() - began == pytest.approx(1.0 + PACE)


async def later(seconds: float, news: News) -> None:
    await anyio.sleep(seconds)
    news.wake()


async def test_at_the_end_of_all_a_write_that_waits_is_given_up() -> None:
    feed = EventFeed("0" * 16, str)
    news = News(feed)
    for closed in (False, True):
        if closed:
            feed.close()
        news.wake()
        assert news.writing.cancel_called is closed


def sees(_client: str, _uid: int | None) -> bool:
    return True


class Written:
    """What a listener was told, and when."""

    def __init__(self) -> None:
        self.at: list[tuple[float, bytes]] = []

    async def write(self, text: bytes) -> None:
        self.at.append((anyio.current_time(), text))


async def test_silence_counts_from_the_last_word() -> None:
    feed, written = EventFeed("0" * 16, str), Written()
    machine = Machine(Policy(), 0.0)
    pulse = Pulse(machine, Tally(), DayBook(lambda: 0.0, "USD"), feed, lambda: 0.0, Tokens())
    stream: Any = EventStream(pulse, Authority(), silence=15.0)
    tell = getattr(stream, "_tell")  # noqa: B009 -- what is around it takes sockets
    news, began = News(feed), anyio.current_time()
    with feed.listen(None, news.wake, sees, ("office", None)) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell, written, listener, news)
            for _ in range(4):
                await anyio.sleep(10.0)
                feed.announce(say("info", "node_ready"))
            await anyio.sleep(40.0)
            tasks.cancel_scope.cancel()
    silent = [at - began for at, text in written.at if text.startswith(b":")]
    assert silent == pytest.approx([55.0, 70.0], abs=2.0)
