"""The ledger's file, open for writing: what is booked in it, and how it is asked."""

import sqlite3
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import cast
from zlib import crc32

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.host.ledger.file import open_file
from exo_supervisor.host.ledger.schema import FIGURES
from exo_supervisor.views.booked import Reservation, Spent
from exo_supervisor.views.request_done import AttemptDone, RequestDone, target_side

Done = tuple[float, RequestDone]
"""How a request ended, and when, in seconds since 1970."""
_Kind = tuple[str, str, str, str, str, str, str, int]
_Row = tuple[object, ...]
_Answer = tuple[str, str]
_Count = tuple[int | None, int | None]
Held = dict[str, dict[int, Reservation]]
"""The reservations of each request by the number of the attempt."""

MOST_KINDS = 4096
MOST_ANSWERS = 4096
"""Names of answers that are remembered: a provider's answer that comes twice comes twice soon."""
LARGEST = 10**17
"""What is put down for a number that no file can hold: many of them can still be added up."""
_EPOCH = 1_577_836_800_000
"""2020, in milliseconds: ids count from there."""
_LATEST = 2**41 - 1
"""2089."""
_CHANCE = 22
"""Bits of an id by which requests of one millisecond differ."""

_ALWAYS = ("id", "ts", "request_id", "number", "kind", "duration")
_MAYBE = (
    "prompt_tokens", "completion_tokens", "cost", "ttft", "response_id", "served_model",
    "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "estimated",
    "reported_cost", "local_cost", "saved", "session", "reserved", "last",
)  # fmt: skip
ROLLED = 500
"""Rows that are added up in one step."""
_OLDEST = "ts < ? AND attempt.id IN (SELECT id FROM attempt ORDER BY id LIMIT ?)"
_ADD_UP = f"""
    INSERT INTO day
    SELECT ts / 86400000 AS day, kind, {", ".join(f"SUM({sql})" for sql in FIGURES.values())}
    FROM attempt JOIN kind ON kind.id = attempt.kind WHERE {_OLDEST} GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in FIGURES)}
"""  # noqa: S608 -- names of our own
_Mask = tuple[bool, ...]
"""Which of `_MAYBE` a row has."""


class Book:
    """Writes, for the one thread that opened it; after an error it is of no use but to be closed.

    `held` are the reservations of this run whose attempts are under way: of all openings of the
    file, not of this one alone.
    """

    def __init__(self, path: Path, held: Held) -> None:
        self._connection = connection = open_file(path)
        self._held = held
        self._kinds = Bounded[_Kind, int](MOST_KINDS)
        self._inserts: dict[_Mask, str] = {}
        self._answers = Bounded[_Answer, _Count](MOST_ANSWERS)
        self._new: dict[_Answer, _Count] = {}
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
        connection, held, inserts = self._connection, self._held, dict[str, list[_Row]]()
        connection.execute("BEGIN IMMEDIATE")
        for each in reservations:
            self._reserve(each)
            held.setdefault(each.request_id, {})[each.attempt] = each
        for at, record in done:
            self._lay_out(at, record, inserts)
        for insert, rows in inserts.items():
            self._insert(insert, rows)
        connection.execute("COMMIT")
        if held:
            for _, record in done:
                held.pop(record.line.request_id, None)
        for name, tokens in self._new.items():
            self._answers[name] = tokens
        self._new.clear()

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
            WHERE attempt.id >= ? AND ts - duration >= ? AND side = 'cloud'
            GROUP BY client, target, session
            """,
            (from_id, int(since * 1000)),
        )
        return [Spent(*row) for row in rows]

    def _take_over(self, connection: sqlite3.Connection) -> None:
        """Book what an earlier run left open: nobody will tell what became of those attempts."""
        left = connection.execute(
            "SELECT ts, request_id, number, kind, session, amount FROM reservation"
        ).fetchall()
        connection.execute("BEGIN IMMEDIATE")
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
        for target, response_id, prompt, completion in answers:
            self._answers[target, response_id] = prompt, completion

    def _reserve(self, row: Reservation) -> None:
        kind = row.client, row.provider, "cloud", "", row.model, "", "crashed", 0
        values = (
            row.request_id, row.attempt, int(row.ts * 1000), self._kind(kind), row.session,
            _storable(row.amount),
        )  # fmt: skip
        insert = "INSERT OR REPLACE INTO reservation VALUES (?, ?, ?, ?, ?, ?)"
        self._connection.execute(insert, values)

    def _insert_of(self, mask: _Mask) -> str:
        columns = *_ALWAYS, *compress(_MAYBE, mask)
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        insert = f"INSERT INTO attempt ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608 -- names of our own
        self._inserts[mask] = insert
        return insert

    def _insert(self, insert: str, rows: list[_Row]) -> None:
        """Insert rows, most of them at once."""
        try:
            if self._connection.executemany(insert, rows).rowcount == len(rows):
                return
        except (OverflowError, UnicodeEncodeError):  # a target can say what no file can hold
            rows = [tuple(map(_storable, row)) for row in rows]
        for row in rows:
            self._insert_one(insert, row)

    def _insert_one(self, insert: str, row: _Row) -> None:
        """Insert a row unless it is there; where another has its id, under the next free one."""
        name, own = cast("int", row[0]), list(row[2:4])
        while not self._connection.execute(insert, (name, *row[1:])).rowcount:
            select = "SELECT request_id, number FROM attempt WHERE id = ?"
            if list(self._connection.execute(select, (name,)).fetchone()) == own:
                return
            name += 1

    def _lay_out(self, at: float, record: RequestDone, inserts: dict[str, list[_Row]]) -> None:
        """Make the rows of a request's attempts, under the statements that insert them."""
        line = record.line
        held = self._held.get(line.request_id) if self._held else None
        if held:
            self._connection.execute(
                "DELETE FROM reservation WHERE request_id = ?", (line.request_id,)
            )
        arrived = at - line.duration
        last = record.tried[-1].number if record.tried else 0
        for done in record.tried:
            if self._repeats(done):
                continue
            kind = (
                line.client, done.target, "exo" if done.local else target_side(done.target),
                line.model or "", done.model, line.dialect, done.fault, done.status,
            )  # fmt: skip
            amount = held[done.number].amount if held and done.number in held else 0
            mask, row = _row_of(
                record, done, arrived, amount, self._kind(kind), more=done.number != last
            )
            insert = self._inserts.get(mask) or self._insert_of(mask)
            inserts.setdefault(insert, []).append(row)

    def _repeats(self, done: AttemptDone) -> bool:
        """Tell whether this is an answer of a provider's that was booked: it is paid for once.

        Some, Ollama's for one, draw their ids from a thousand: with another count of tokens, it is
        another answer.
        """
        if done.response_id is None or done.cost is None:
            return False
        name, tokens = (done.target, done.response_id), (done.prompt_tokens, done.completion_tokens)
        if tokens in (self._answers.get(name), self._new.get(name)):
            return True
        self._new[name] = tokens
        return False

    def _kind(self, kind: _Kind) -> int:
        number = self._kinds.get(kind)
        if number is None:
            said, kind = kind, cast("_Kind", tuple(map(_storable, kind)))
            self._connection.execute(
                "INSERT OR IGNORE INTO kind VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", kind
            )
            (number,) = self._connection.execute(
                """
                SELECT id FROM kind WHERE (client, target, side, asked, model, dialect, fault,
                    status) = (?, ?, ?, ?, ?, ?, ?, ?)
                """,
                kind,
            ).fetchone()
            self._kinds[said] = number
        return int(number)


def _row_of(
    record: RequestDone, done: AttemptDone, arrived: float, reserved: int, kind: int, *, more: bool
) -> tuple[_Mask, _Row]:
    """Return which of `_MAYBE` are told, and the row: `_ALWAYS`, and of those what is told."""
    request_id, first, prompt, completion = (
        record.line.request_id, done.first, done.prompt_tokens, done.completion_tokens,
    )  # fmt: skip
    cached, write, write_1h = (
        done.cached_tokens, done.cache_write_tokens, done.cache_write_1h_tokens,
    )  # fmt: skip
    reasoning, answer, session = done.reasoning_tokens, done.response_id, record.session
    cost, reported, local, saved = done.cost, done.reported_cost, done.local_cost, done.saved
    served = None if done.served_model == done.model else done.served_model
    mask = (
        prompt is not None, completion is not None, cost is not None, first is not None,
        answer is not None, served is not None, cached != 0, write != 0, write_1h != 0,
        reasoning != 0, done.estimated, reported is not None, local is not None, saved is not None,
        session != 0, reserved != 0, more,
    )  # fmt: skip
    maybe = (
        prompt, completion, cost, first and int(first * 1000), answer, served, cached, write,
        write_1h, reasoning, 1, reported, local, saved, session, reserved, 0,
    )  # fmt: skip
    return mask, (
        id_of(arrived, request_id, done.number), int((arrived + done.ended) * 1000), request_id,
        done.number, kind, int((done.ended - done.began) * 1000), *compress(maybe, mask),
    )  # fmt: skip


def id_of(arrived: float, request_id: str, number: int) -> int:
    """Make a row's id of when its request came, some chance, and its place among the attempts.

    It stands for (request, attempt) without an index of its own, which would cost half as much as
    the row; and rows lie in the order of time, so that a span of time is a span of ids.
    """
    chance = crc32(request_id.encode(errors="replace")) + number & (1 << _CHANCE) - 1
    return min(max(int(arrived * 1000) - _EPOCH, 0), _LATEST) << _CHANCE | chance


def _storable(value: object) -> object:
    """Bend a value to what SQLite holds: text without lone surrogates, numbers of 64 bits."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return LARGEST if isinstance(value, int) and value >= 1 << 63 else value
