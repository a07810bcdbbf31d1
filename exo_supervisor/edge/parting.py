"""Takes leave of targets whose answer nobody wants any more.

Exo from v1.0.69 on is told by name first: a plain close leaves the user's prompt standing in its
replicated state. A generation's work ends either way.
"""

import aiohttp
import anyio
from anyio.abc import TaskGroup

from exo_supervisor.edge.upstream import Opened

PATIENCE = 0.2
"""Seconds that a target has to hear of it and to end its answer; then it is closed."""
MAX_PARTINGS = 256
"""Partings at once; beyond that a connection is closed without a word."""


class Parting:
    """Says goodbye in the background, since a client that left waits for nothing."""

    name = "parting"

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._tasks: TaskGroup | None = None
        self._count = 0

    async def run(self) -> None:
        """Be there for partings until cancelled."""
        try:
            async with anyio.create_task_group() as self._tasks:
                await anyio.sleep_forever()
        finally:
            self._tasks, self._count = None, 0

    def leave(self, opened: Opened, cancel_url: str | None) -> None:
        """Let go of an answer; never waits and never raises."""
        if cancel_url is None or self._tasks is None or self._count >= MAX_PARTINGS:
            opened.close()
            return
        self._count += 1
        self._tasks.start_soon(self._tell, opened, cancel_url)

    async def _tell(self, opened: Opened, url: str) -> None:
        try:
            with anyio.move_on_after(PATIENCE):
                async with self._session.post(url, allow_redirects=False):
                    pass
                await opened.see_out()
        except (aiohttp.ClientError, OSError):
            pass  # the close below says the same, less politely
        finally:
            self._count -= 1
            opened.close()
