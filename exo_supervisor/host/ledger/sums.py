"""Adds up what is booked, over a connection that only reads: writing goes on meanwhile."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from exo_supervisor.host.ledger.book import id_of
from exo_supervisor.host.ledger.schema import FIGURES
from exo_supervisor.views.booked import By, LedgerUnreadableError, Sum, Sums

LONGEST = 4.0
"""Seconds that a sum may take."""
_DAY = 86_400
_STEPS = 100_000
"""Steps of SQLite's between two looks at the clock."""
_FOREVER = 2_932_896
"""The last day that Python's calendar has."""
_KEYS = {"day": "day", "model": "asked", "client": "client", "target": "target"}
_RAW = ", ".join(f"{sql} AS {name}" for name, sql in FIGURES.items())
_NAMES = ", ".join(FIGURES)
_SUMS = ", ".join(f"SUM({name})" for name in FIGURES)


def read_sums(path: Path, by: By, since: int | None, until: int | None) -> Sums:
    """Add up the days from `since` to before `until`. Raises LedgerUnreadableError."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=LONGEST)) as connection:
            end = monotonic() + LONGEST
            connection.set_progress_handler(lambda: monotonic() > end, _STEPS)
            return Sums.of(_rows(connection, by, since or 0, _FOREVER if until is None else until))
    except sqlite3.Error as fault:
        if getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            text = f"to add this up takes over {LONGEST:.0f} s: ask for fewer days"
            raise LedgerUnreadableError(text) from None
        raise LedgerUnreadableError(f"the ledger cannot be read: {fault}") from None


def _rows(
    connection: sqlite3.Connection, by: By, since: int, until: int
) -> Iterator[tuple[str, Sum]]:
    order = "1" if by == "day" else f"{2 + list(FIGURES).index('cost')} DESC, 2 DESC, 1"
    rows = connection.execute(
        f"""
        SELECT {_KEYS[by]}, {_SUMS} FROM (
            SELECT ts / 86400000 AS day, kind, {_RAW}
            FROM attempt JOIN kind ON kind.id = attempt.kind
            WHERE attempt.id >= ? AND ts >= ? AND ts < ?
            UNION ALL SELECT day, kind, {_NAMES} FROM day WHERE day >= ? AND day < ?
        ) AS figures JOIN kind ON kind.id = figures.kind
        GROUP BY 1 ORDER BY {order}
        """,  # noqa: S608 -- names of our own
        (
            id_of((since - 1) * _DAY, "", 0), since * _DAY * 1000, until * _DAY * 1000,
            since, until,
        ),
    )  # fmt: skip
    for key, *figures in rows:
        yield _day(key) if by == "day" else key, Sum(*figures)


def _day(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970 * _DAY, UTC).date().isoformat()
