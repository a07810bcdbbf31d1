"""A terminal as rows of text, of which only what changed is written; left as it was found.

Plain escape sequences that every terminal of the last forty years knows: go there, clear to the end
of the line. Nothing is cleared as a whole, so nothing flickers.
"""

import os
import signal
import sys
import termios
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from select import select
from types import FrameType
from typing import Any

_OWN_SCREEN = ("xterm", "screen", "tmux", "rxvt", "alacritty", "foot", "kitty", "wezterm")
"""Terminals that keep what stood there before on another screen."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_BITS = 10
"""Of a character on a serial line."""
_SLOWEST = {
    termios.B300: 300, termios.B1200: 1200, termios.B2400: 2400, termios.B4800: 4800,
    termios.B9600: 9600, termios.B19200: 19200,
}  # fmt: skip
FAST = 1_000_000


def is_dumb() -> bool:
    """Tell whether a terminal knows no escape sequences."""
    return os.environ.get("TERM", "") in ("", "dumb", "unknown")


def update(old: Sequence[str], new: Sequence[str]) -> str:
    """Write what turns old rows into new ones; rows count from one, as do columns."""
    said: list[str] = []
    for row in range(max(len(old), len(new))):
        was = old[row] if row < len(old) else ""
        now = new[row] if row < len(new) else ""
        if was == now:
            continue
        same = _alike(was, now)
        tail = now[same:]
        if len(was) == len(now):
            tail = tail[: len(tail) - _alike(was[same:][::-1], tail[::-1])]
        end = "\x1b[K" if len(now) < len(was) else ""
        said.append(f"\x1b[{row + 1};{same + 1}H{tail}{end}")
    return "".join(said)


def _alike(one: str, other: str) -> int:
    """Count the characters at the begin of two texts that are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class Screen:
    """The terminal at standard output, drawn on while the context lasts."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._size = (0, 0)
        self._saved: list[Any] | None = None
        term = os.environ.get("TERM", "")
        own = term.startswith(_OWN_SCREEN)
        self._enter = "\x1b[?1049h\x1b[?25l" if own else ""
        self._leave = "\x1b[?25h\x1b[?1049l" if own else ""

    @contextmanager
    def drawn_on(self) -> Generator[None]:
        """Take the terminal, and give it back however this ends: a signal, too, or a stop."""
        before = {number: signal.signal(number, _end) for number in _ENDING}
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stop)
        self._take()
        try:
            yield
        finally:
            self._give_back()
            for number, handler in before.items():
                signal.signal(number, handler)

    def draw(self, rows: Sequence[str]) -> float:
        """Show rows; return for how many seconds the line is busy with what was written."""
        if self.size() != self._size:
            self._size, self._rows = self.size(), []
            rows = [*rows, *("" for _ in range(self._size[1] - len(rows)))]
            said = "".join(f"\x1b[{at};1H{row}\x1b[K" for at, row in enumerate(rows, 1))
        else:
            said = update(self._rows, rows)
        self._rows = list(rows)
        if said:
            _write(said)
        return len(said) * _BITS / self._speed()

    def size(self) -> tuple[int, int]:
        """Return columns and rows, one less each: some terminals scroll after the last character.

        A serial line does not know, and a screen of its days has 80 by 24.
        """
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
        return (columns or 80) - 1, (rows or 24) - 1

    def _speed(self) -> int:
        return _SLOWEST.get(termios.tcgetattr(sys.stdout.fileno())[5], FAST)

    def _take(self) -> None:
        self._size = (0, 0)
        with suppress(termios.error, ValueError, OSError):
            number = sys.stdin.fileno()
            self._saved = termios.tcgetattr(number)
            quiet = termios.tcgetattr(number)
            quiet[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(number, termios.TCSADRAIN, quiet)
        _write(self._enter)

    def _give_back(self) -> None:
        rows = self._leave or f"\x1b[{len(self._rows) or 1};1H\r\n"
        with suppress(OSError):
            _write(rows)
        if self._saved is not None:
            with suppress(termios.error, OSError):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)
        self._saved = None

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: give the terminal back before the stop, and take it again after it."""
        del frame
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        self._take()


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    raise EndedError(number)


class EndedError(BaseException):
    """A signal asks us to end; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _write(text: str) -> None:
    data = text.encode("ascii", "replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def wait(seconds: float, news: int | None, *, keys: bool) -> tuple[bool, str]:
    """Wait for news or a key, at most so long; say whether news came, and which keys."""
    watched = [number for number in (news, 0 if keys else None) if number is not None]
    ready, _, _ = select(watched, [], [], max(seconds, 0.0))
    typed = ""
    if keys and 0 in ready:
        typed = os.read(0, 64).decode("ascii", "replace") or "q"
    return news in ready, typed
