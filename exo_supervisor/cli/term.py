"""Text on its way to a person: colour, tables, relative time, and no control characters."""

import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import TextIO

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.errors import why_failed

GREEN, YELLOW, RED, DIM = "32", "33", "31", "2"
_TINTS = {
    "ready": GREEN, "ok": GREEN, "yes": GREEN,
    "loading": YELLOW, "placed": YELLOW, "seen": YELLOW, "half_open": YELLOW, "warn": YELLOW,
    "not ready": YELLOW, "open": RED, "down": RED, "fail": RED,
}  # fmt: skip
SCREEN = 80
"""Characters that a line has on the narrowest screen we write for."""
WIDTH = 78
"""Characters that a line of prose takes at most."""
LEAST_TEXT = 24
"""Characters that a last column gets at least, however wide the others are."""
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
# C0 without newline and tab, DEL, C1, and the marks that turn the direction of text around.
_UNSAFE = dict.fromkeys(
    [
        *(point for point in range(32) if point not in (9, 10)),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ]
)


def on_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person watches this stream."""
    return stream is not None and not stream.closed and stream.isatty()


def paint(text: str, colour: str, stream: TextIO) -> str:
    """Colour a text where the stream shows colour (no-color.org; a dumb terminal has none)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if not text or plain or not on_terminal(stream):
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def clean(text: str) -> str:
    """Drop control characters other than newline and tab, and marks that reverse text."""
    return text.translate(_UNSAFE)


def cell(text: str) -> str:
    """Make a text fit one cell of a table: clean, and on one line."""
    return " ".join(clean(text).split())


def write(text: str) -> None:
    """Write what was asked for to standard output, at once.

    Raises `BrokenPipeError` when nobody reads any more, `VerbError` when it cannot be written.
    """
    _put(text, sys.stdout)


def say(text: str) -> None:
    """Write one line, or several, of what was asked for."""
    write(text + "\n")


def raw(body: bytes) -> None:
    """Write a JSON body unchanged plus a newline; a terminal gets no control characters."""
    text = body.decode("utf-8", "replace")
    if on_terminal(sys.stdout) or not hasattr(sys.stdout, "buffer"):
        say(clean(text))
        return
    try:
        sys.stdout.buffer.write(body + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritten(error) from error


def remark(text: str) -> None:
    """Write one line, or several, about the work to standard error."""
    _put(text + "\n", sys.stderr)


def tell(error: VerbError) -> None:
    """Say what happened, why, and what to try."""
    first, *more = _labelled(error.message)
    remark(f"{paint('error:', RED, sys.stderr)} {first}")
    for line in more:
        remark(f"       {line}")
    for place, line in enumerate(line for reason in error.why for line in _labelled(reason)):
        label = paint("why:", DIM, sys.stderr) if place == 0 else "    "
        remark(f"  {label} {line}")
    if error.hint:
        remark(f"  {paint('try:', DIM, sys.stderr)} {clean(error.hint)}")


def wrapped(text: str, width: int, shift: str = "") -> list[str]:
    """Break a text at its blanks into lines, all but the first shifted; none for a blank text."""
    if len(text) <= width and text.isprintable():
        return [text.rstrip()] if text.strip() else []
    from textwrap import wrap

    return wrap(
        text, width, break_long_words=False, break_on_hyphens=False, subsequent_indent=shift
    )


def _labelled(text: str) -> list[str]:
    """Break a text into lines that fit behind a label; what can be pasted stays whole."""
    lines = clean(text).split("\n")
    return [part for line in lines for part in wrapped(line, SCREEN - 7) or [""]]


def note(text: str) -> None:
    """Remark in passing: clean and dimmed, in lines that fit a screen; `0.1 s` stays whole."""
    whole = re.sub(r"(?<=\d) (?=[a-zA-Z])", "\0", clean(text))
    for line in wrapped(whole, SCREEN, "   "):
        remark(paint(line.replace("\0", " "), DIM, sys.stderr))


def _put(text: str, stream: TextIO | None) -> None:
    if stream is None:  # the shell closed it: `>&-`
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        # What the encoding lacks becomes `?`; an answer must not end in a traceback.
        stream.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritten(error) from error


def _unwritten(error: OSError) -> VerbError:
    return VerbError("cannot write the output", why=[why_failed(error)])


def tint(text: str, stream: TextIO) -> str:
    """Colour a word of state by what it means."""
    return paint(text, _TINTS.get(text, ""), stream) if text in _TINTS else text


def tint_word(well: bool) -> str:  # noqa: FBT001 -- the word is the value
    """Say `ok` or `fail` on standard output, four characters wide."""
    word = "ok" if well else "fail"
    return tint(word, sys.stdout) + " " * (4 - len(word))


def table(
    rows: Sequence[Sequence[str]],
    stream: TextIO,
    tinted: Collection[int] = (),
    own_line: int | None = None,
) -> str:
    """Lay out rows of one length in columns two spaces apart; the columns `tinted` hold states.

    Where they are wider than a screen, the column `own_line` gets a line of its own above each
    row, and the last column goes on below itself.
    """
    widths = widths_of(rows)
    least = sum(widths[:-1]) + 2 * len(widths) - 2 + min(widths[-1], LEAST_TEXT)
    if own_line is not None and least > SCREEN:
        rest = [[*row[:own_line], *row[own_line + 1 :]] for row in rows]
        moved = {at - (at > own_line) for at in tinted if at != own_line}
        folds = _folded(rest, 2)
        lower = table([*chain.from_iterable(folds)], stream, moved).splitlines()
        heads = [row[own_line] for row in rows]
        return "\n".join(_woven(heads, map(len, folds), ["  " + line for line in lower]))
    rows = [*chain.from_iterable(_folded(rows))]
    widths = widths_of(rows)
    lines: list[str] = []
    for row in rows:
        padded = [
            (tint(text, stream) if column in tinted else text) + " " * (width - len(text))
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def widths_of(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how many characters each column of a table takes."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _woven(heads: Sequence[str], folds: Iterable[int], lower: list[str]) -> list[str]:
    """Put each row's head on a line above what `lower` shows of the row, in so many lines."""
    lines: list[str] = []
    for head, many in zip(heads, folds, strict=True):
        lines += [head] if head else []
        lines += lower[:many]
        lower = lower[many:]
    return lines


def _folded(rows: Sequence[Sequence[str]], indent: int = 0) -> list[list[Sequence[str]]]:
    """Let the last column of each row go on in further rows where it would leave the screen."""
    *before, _ = widths_of(rows)
    room = max(LEAST_TEXT, SCREEN - indent - sum(before) - 2 * len(before))
    folded: list[list[Sequence[str]]] = []
    for row in rows:
        first, *more = wrapped(row[-1], room) or [""]
        folded.append([[*row[:-1], first], *([*[""] * len(before), text] for text in more)])
    return folded


def number(value: int, stream: TextIO) -> str:
    """Write a count, its thousands separated where a person reads it."""
    return f"{value:,}" if on_terminal(stream) else str(value)


def span(seconds: float) -> str:
    """Write a duration in two units at most."""
    left = max(0, int(seconds))
    for place, (unit, size) in enumerate(_UNITS):
        if left >= size:
            count, rest = divmod(left, size)
            smaller, step = _UNITS[min(place + 1, len(_UNITS) - 1)]
            second = f" {rest // step} {smaller}" if step < size and rest >= step else ""
            return f"{count} {unit}{second}"
    return "0 s"


def moment(stamp: str | None) -> float | None:
    """Read an RFC 3339 time as seconds since 1970, `None` where it is none."""
    if not stamp:
        return None
    from datetime import UTC, datetime

    try:
        time = datetime.fromisoformat(stamp)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def relative(stamp: str | None, now: float) -> str:
    """Write an RFC 3339 time as `4 min ago` or `in 8 s`, `-` where there is none."""
    at = moment(stamp)
    if at is None:
        return cell(stamp) if stamp else "-"
    return f"in {span(at - now)}" if at - now >= 1 else f"{span(now - at)} ago"
