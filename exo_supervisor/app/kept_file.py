"""Keeps something across restarts: what it last was is written to a small file when it changes."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import anyio
import structlog
from anyio import to_thread

from exo_supervisor.errors import SupervisorError, why_failed
from exo_supervisor.host.kept import read_kept, write_kept

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("kept")

T = TypeVar("T")
Write = Callable[[bytes], Awaitable[None]]


class KeptFile(Generic[T]):
    """A service that writes whatever it is given, `pause` seconds apart at least.

    `write` replaces the file; that it raises OSError or SupervisorError costs a line in the log.
    """

    def __init__(
        self, name: str, write: Write, encode: Callable[[T], bytes], *, pause: float = 0.0
    ) -> None:
        self.name = name
        self._write, self._encode, self._pause = write, encode, pause
        self._unkept: T | None = None
        self._changed = anyio.Event()

    def keep(self, what: T) -> None:
        """Have this kept; never waits."""
        self._unkept = what
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled; what has changed then is kept, too."""
        try:
            while True:
                self._changed = anyio.Event()
                await self._save()
                await self._changed.wait()
                await anyio.sleep(self._pause)
        finally:
            with anyio.CancelScope(shield=True):
                await self._save()

    async def _save(self) -> None:
        what, self._unkept = self._unkept, None
        if what is None:
            return
        try:
            await self._write(self._encode(what))
        except (OSError, SupervisorError) as fault:
            advice = "let the service write to its state directory"
            event = f"{self.name}_unwritable"
            log.warning(event, why=why_failed(fault), advice=advice)
        except BaseException:  # it was cut off, and the last save makes up for it
            self._unkept = what
            raise


def writes_to(path: Path | None, replace: Callable[[Path, bytes], None] = write_kept) -> Write:
    """Write to a file; without a path, what is kept ends with the process."""

    async def write(content: bytes) -> None:
        if path is not None:
            await to_thread.run_sync(replace, path, content)

    return write


async def read_file(path: Path | None, name: str, decode: Callable[[bytes], T], none: T) -> T:
    """Read what was kept; `none` where there is nothing, or, with a line in the log, no reading.

    `decode` raises SupervisorError for what we have not written; that is put aside, not lost.
    """
    if path is None:
        return none
    try:
        content = await to_thread.run_sync(read_kept, path)
        return none if content is None else decode(content)
    except (OSError, SupervisorError) as fault:
        aside = path.with_name(f"{path.name}.unreadable")
        with suppress(OSError):
            await to_thread.run_sync(path.replace, aside)
        event = f"{name}_unreadable"
        log.warning(event, why=why_failed(fault), put_aside=str(aside))
        return none
