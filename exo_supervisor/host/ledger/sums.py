"""Adds up what is booked, over a connection that only reads: writing goes on meanwhile."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from exo_supervisor.core.books.amount import digits_of
from exo_supervisor.host.ledger.row import id_of
from exo_supervisor.host.ledger.schema import FIGURES
from exo_supervisor.views.booked import Booked, By, LedgerUnreadableError, Sum, Sums

LONGEST = 4.0
"""Seconds that a sum may take."""
PAGE = 2000
"""Attempts that are listed at once."""
_DAY = 86_400
_STEPS = 100_000
"""Steps of SQLite's between two looks at the clock."""
_FOREVER = 2_932_896
"""The last day that Python's calendar has."""
_KEYS = {"day": "day", "model": "asked", "client": "client", "target": "target"}
_RAW = ", ".join(f"{sql} AS {name}" for name, sql in FIGURES.items())
_NAMES = ", ".join(FIGURES)
_SUMS = ", ".join(f"SUM({name})" for name in FIGURES)


def read_sums(path: Path, by: By, since: int | None, until: int | None, currency: str) -> Sums:
    """Add up the days from `since` to before `until`. Raises LedgerUnreadableError."""
    with _reading(path) as connection:
        return Sums.of(_rows(connection, by, *_span(since, until)), currency)


def read_booked(
    path: Path, target: str, since: int | None, until: int | None, after: int, currency: str
) -> list[Booked]:
    """List attempts at a provider that told an id, the oldest first, some of those after an id.

    What was paid in another currency counts as not known. Raises LedgerUnreadableError.
    """
    first, last = _span(since, until)
    with _reading(path) as connection:
        rows = connection.execute(
            """
            SELECT attempt.id, strftime('%Y-%m-%dT%H:%M:%SZ', ts / 1000, 'unixepoch'), request_id,
                number, target, model, response_id, prompt_tokens, completion_tokens,
                IIF(currency = ?, cost, NULL), reported_cost
            FROM attempt JOIN kind ON kind.id = attempt.kind
            WHERE attempt.id > ? AND ts >= ? AND ts < ? AND target = ? AND response_id IS NOT NULL
            ORDER BY attempt.id LIMIT ?
            """,
            (
                currency, max(after, id_of((first - 1) * _DAY, "", 0)), first * _DAY * 1000,
                last * _DAY * 1000, target, PAGE,
            ),
        )  # fmt: skip
        return [
            Booked(*known, *(None if each is None else digits_of(each) for each in money))
            for *known, cost, reported in rows
            for money in [(cost, reported)]
        ]


def _span(since: int | None, until: int | None) -> tuple[int, int]:
    return since or 0, _FOREVER if until is None else until


@contextmanager
def _reading(path: Path) -> Generator[sqlite3.Connection]:
    if path.is_symlink() or (path.exists() and not path.is_file()):  # a pipe would keep us for ever
        raise LedgerUnreadableError(f"the ledger cannot be read: {path.name} is no plain file")
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=LONGEST)) as connection:
            end = monotonic() + LONGEST
            connection.set_progress_handler(lambda: monotonic() > end, _STEPS)
            yield connection
    except sqlite3.Error as fault:
        if getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            text = f"to add this up takes over {LONGEST:.0f} s: ask for fewer days"
            raise LedgerUnreadableError(text) from None
        raise LedgerUnreadableError(f"the ledger cannot be read: {fault}") from None


def _rows(
    connection: sqlite3.Connection, by: By, since: int, until: int
) -> Iterator[tuple[str, str, Sum]]:
    order = "1" if by == "day" else f"{3 + list(FIGURES).index('cost')} DESC, 3 DESC, 1"
    rows = connection.execute(
        f"""
        SELECT {_KEYS[by]}, currency, {_SUMS} FROM (
            SELECT ts / 86400000 AS day, kind, {_RAW}
            FROM attempt JOIN kind ON kind.id = attempt.kind
            WHERE attempt.id >= ? AND ts >= ? AND ts < ?
            UNION ALL SELECT day, kind, {_NAMES} FROM day WHERE day >= ? AND day < ?
        ) AS figures JOIN kind ON kind.id = figures.kind
        GROUP BY 1, 2 ORDER BY {order}
        """,  # noqa: S608 -- names of our own
        (
            id_of((since - 1) * _DAY, "", 0), since * _DAY * 1000, until * _DAY * 1000,
            since, until,
        ),
    )  # fmt: skip
    for key, currency, *figures in rows:
        yield _day(key) if by == "day" else key, currency, Sum(*figures)


def _day(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970 * _DAY, UTC).date().isoformat()
