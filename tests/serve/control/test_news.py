"""A listener sleeps until there is news, and lets a moment's news gather."""

import anyio
import pytest

from exo_supervisor.serve.control.event_stream import PACE, News
from exo_supervisor.views.event_feed import EventFeed


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
