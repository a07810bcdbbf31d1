"""Saying what is awaited, on a terminal, when an answer takes longer than a second."""

import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Self

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.term import note, on_terminal

PATIENCE = 1.0
REPEAT = 5.0


class Waiting:
    """A watch that says `what()` after a second, and again when it changes, until `over`.

    Silent unless a person watches standard error. Leaving the context ends the watch.
    """

    def __init__(self, what: Callable[[], str]) -> None:
        self._what = what
        self._over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if on_terminal(sys.stderr):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)

    def over(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        said = ""
        pause = PATIENCE
        while not self._over.wait(pause):
            text = self._what()
            if text != said and not self._over.is_set():
                with suppress(OSError, VerbError):
                    note(text)
            said, pause = text, REPEAT
