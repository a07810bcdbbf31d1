"""The ledger's file, open for writing: what is booked in it, and how it is asked."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import cast

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.host.ledger.file import open_file
from exo_supervisor.host.ledger.row import AT_ONCE, Row, Shape, id_of, insert, row_of
from exo_supervisor.host.ledger.schema import BORN, FIGURES
from exo_supervisor.views.booked import Reservation, Spent
from exo_supervisor.views.request_done import AttemptDone, RequestDone, target_side

Done = tuple[float, RequestDone]
"""How a request ended, and when, in seconds since 1970."""
_Kind = tuple[str, str, bool, str | None, str, str, str, int]
_Answer = tuple[str, str, int | None, int | None]
Held = dict[str, dict[int, Reservation]]
"""The reservations of each request by the number of the attempt."""

MOST_KINDS = 4096
MOST_ANSWERS = 4096
"""Answers that are remembered, by name: a provider's that comes twice comes twice soon."""
LARGEST = 10**17
"""What is put down for a number that no file can hold: many of them can still be added up."""
ROLLED = 500
"""Rows that are added up in one step."""
_OLDEST = "ts < ? AND attempt.id IN (SELECT id FROM attempt ORDER BY id LIMIT ?)"
_ADD_UP = f"""
    INSERT INTO day
    SELECT ts / 86400000 AS day, kind, {", ".join(f"SUM({sql})" for sql in FIGURES.values())}
    FROM attempt JOIN kind ON kind.id = attempt.kind WHERE {_OLDEST} GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in FIGURES)}
"""  # noqa: S608 -- names of our own


class Book:
    """Writes, for the one thread that opened it; after an error it is of no use but to be closed.

    `held` are the reservations of this run whose attempts are under way: of all openings of the
    file, not of this one alone. Money is of the `currency`.
    """

    def __init__(self, path: Path, held: Held, currency: str) -> None:
        self._connection = connection = open_file(path)
        self._held, self._currency = held, currency
        self._kinds = Bounded[_Kind, int](MOST_KINDS)
        self._inserts: dict[Shape, tuple[str, str]] = {}
        self._answers, self._older = set[_Answer](), set[_Answer]()
        try:
            self._take_over(connection)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        self._connection.close()

    def write(self, reservations: Sequence[Reservation], done: Sequence[Done]) -> None:
        """Write all of it, or, where that raises sqlite3.Error, nothing.

        A reservation ends with its request. One whose attempt never began is no row.
        """
        execute, alone = self._connection.execute, not done and len(reservations) == 1
        if not alone:  # a statement is a transaction by itself
            execute("BEGIN IMMEDIATE")
        if reservations:
            self._reserve(reservations)
        settled = self._book(done) if done else []
        if not alone:
            execute("COMMIT")
        for name in settled:
            del self._held[name]

    def checkpoint(self) -> None:
        """Bring what was written to the disk itself, as far as no reader is in the way."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def roll_up(self, before: float) -> bool:
        """Add up the oldest rows by day and drop them, some at a time; True: there may be more."""
        connection, oldest = self._connection, (int(before * 1000), ROLLED)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_ADD_UP, oldest)
        dropped = connection.execute(f"DELETE FROM attempt WHERE {_OLDEST}", oldest).rowcount  # noqa: S608 -- ours
        connection.execute("COMMIT")
        return dropped == ROLLED

    def spent(self, since: float) -> list[Spent]:
        """Sum up what attempts that began since then cost, by client, provider and session.

        One that an earlier run left open may have been billed, and counts with all that it had
        reserved; one of this run is counted where it is held.
        """
        from_id = id_of(since - 86_400, "", 0)  # no request lasts longer than a day
        rows = self._connection.execute(
            """
            SELECT client, target, session,
                SUM(CASE fault WHEN 'crashed' THEN reserved ELSE COALESCE(cost, 0) END),
                COUNT(DISTINCT request_id)
            FROM attempt JOIN kind ON kind.id = attempt.kind
            WHERE attempt.id >= ? AND ts - duration >= ? AND side = 'cloud' AND currency = ?
            GROUP BY client, target, session
            """,
            (from_id, int(since * 1000), self._currency),
        )
        return [Spent(*row) for row in rows]

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Book what an earlier run left open: nobody will tell what became of those attempts."""
        left = connection.execute(
            "SELECT ts, request_id, number, kind, session, amount FROM reservation"
        ).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(BORN, (self._currency,))
        for ts, request_id, number, kind, session, amount in left:
            if request_id in self._held:
                continue
            name = id_of(ts / 1000, request_id, number)
            connection.execute(
                """
                INSERT INTO attempt (id, ts, request_id, number, kind, duration, session, reserved)
                VALUES (?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING
                """,
                (name, ts, request_id, number, kind, session, amount),
            )
            connection.execute("DELETE FROM reservation WHERE request_id = ?", (request_id,))
        connection.execute("COMMIT")
        answers = connection.execute(
            """
            SELECT target, response_id, prompt_tokens, completion_tokens
            FROM attempt JOIN kind ON kind.id = attempt.kind
            WHERE attempt.id IN (SELECT id FROM attempt ORDER BY id DESC LIMIT ?)
                AND response_id IS NOT NULL
            """,
            (MOST_ANSWERS,),
        )
        self._answers.update(answers)

    def _reserve(self, reservations: Sequence[Reservation]) -> None:
        rows: list[Row] = []
        for each in reservations:
            kind = (
                each.client, each.provider, False, None, each.model, "", "crashed", 0,
            )  # fmt: skip
            rows.append([
                each.request_id, each.attempt, int(each.ts * 1000),
                self._kinds.get(kind) or self._kind(kind), each.session, each.amount,
            ])  # fmt: skip
            self._held.setdefault(each.request_id, {})[each.attempt] = each
        insert = "INSERT OR REPLACE INTO reservation VALUES (?, ?, ?, ?, ?, ?)"
        try:
            self._connection.executemany(insert, rows)
        except OverflowError:
            self._connection.executemany(insert, [list(map(_storable, row)) for row in rows])

    def _book(self, done: Sequence[Done]) -> list[str]:
        """Write the rows of requests that ended; return those of them that held something."""
        rows: dict[Shape, list[Row]] = {}
        settled = [record.line.request_id for _, record in done] if self._held else []
        settled = [name for name in settled if name in self._held]
        for at, record in done:
            self._lay_out(at, record, rows)
        for shape, alike in rows.items():
            self._insert(shape, alike)
        if settled:
            self._connection.executemany(
                "DELETE FROM reservation WHERE request_id = ?", [(name,) for name in settled]
            )
        return settled

    def _insert_of(self, shape: Shape) -> tuple[str, str]:
        self._inserts[shape] = made = insert(shape, 1), insert(shape, AT_ONCE)
        return made

    def _insert(self, shape: Shape, rows: list[Row]) -> None:
        """Insert rows of one shape, most of them at once."""
        one, many = self._inserts.get(shape) or self._insert_of(shape)
        whole, execute = len(rows) // AT_ONCE * AT_ONCE, self._connection.execute
        try:
            written = sum(
                execute(many, list(chain.from_iterable(rows[at : at + AT_ONCE]))).rowcount
                for at in range(0, whole, AT_ONCE)
            )
            if written + self._connection.executemany(one, rows[whole:]).rowcount == len(rows):
                return
        except (OverflowError, UnicodeEncodeError):  # a target can say what no file can hold
            rows = [list(map(_storable, row)) for row in rows]
        for row in rows:
            self._insert_one(one, row)

    def _insert_one(self, insert: str, row: Row) -> None:
        """Insert a row unless it is there; where another has its id, under the next free one."""
        name, own = cast("int", row[0]), row[2:4]
        while not self._connection.execute(insert, (name, *row[1:])).rowcount:
            select = "SELECT request_id, number FROM attempt WHERE id = ?"
            if list(self._connection.execute(select, (name,)).fetchone()) == own:
                return
            name += 1

    def _lay_out(self, at: float, record: RequestDone, rows: dict[Shape, list[Row]]) -> None:
        """Make the rows of a request's attempts, by their shapes."""
        line = record.line
        held = self._held.get(line.request_id) if self._held else None
        arrived = at - line.duration
        for done in record.tried:
            if done.cost is not None and done.response_id is not None and self._repeats(done):
                continue
            kind = (
                line.client, done.target, done.local, line.model, done.model, line.dialect,
                done.fault, done.status,
            )  # fmt: skip
            amount = held[done.number].amount if held and done.number in held else 0
            shape, row = row_of(record, done, arrived, amount)
            row[4] = self._kinds.get(kind) or self._kind(kind)
            if (alike := rows.get(shape)) is None:
                rows[shape] = alike = []
            alike.append(row)

    def _repeats(self, done: AttemptDone) -> bool:
        """Tell whether this is an answer of a provider's that was booked: it is paid for once.

        Some, Ollama's for one, draw their ids from a thousand: with another count of tokens, it is
        another answer.
        """
        name = done.target, done.response_id or "", done.prompt_tokens, done.completion_tokens
        if name in self._answers or name in self._older:
            return True
        self._answers.add(name)
        if len(self._answers) >= MOST_ANSWERS:
            self._older, self._answers = self._answers, set[_Answer]()
        return False

    def _kind(self, kind: _Kind) -> int:
        """Return a kind's number, after a look into the file where it is new."""
        if (number := self._kinds.get(kind)) is not None:
            return number
        client, target, local, asked, *rest = kind
        side = "exo" if local else target_side(target)
        row = [_storable(each) for each in (client, target, side, asked or "", *rest)]
        row.append(self._currency)
        self._connection.execute(
            "INSERT OR IGNORE INTO kind VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row
        )
        (found,) = self._connection.execute(
            """
            SELECT id FROM kind WHERE (client, target, side, asked, model, dialect, fault,
                status, currency) = (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            row,
        ).fetchone()
        self._kinds[kind] = number = int(found)
        return number


def _storable(value: object) -> object:
    """Bend a value to what SQLite holds: text without lone surrogates, numbers of 64 bits."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return LARGEST if isinstance(value, int) and value >= 1 << 63 else value
