"""What a row of an attempt says, in as few columns as it can be said: each costs its share."""

from itertools import compress
from operator import ne
from zlib import crc32

from exo_supervisor.views.request_done import AttemptDone, RequestDone

Row = list[object]
Shape = int | tuple[int, tuple[bool, ...]]
"""Which of `_MOSTLY`, in bits, and which of `_SELDOM` a row has, if any."""

_EPOCH = 1_577_836_800_000
"""2020, in milliseconds: ids count from there."""
_LATEST = 2**41 - 1
"""2089."""
_CHANCE = 22
"""Bits of an id by which requests of one millisecond differ."""

_ALWAYS = ("id", "ts", "request_id", "number", "kind", "duration")
_MOSTLY = (
    "prompt_tokens", "completion_tokens", "ttft", "cost", "response_id", "cached_tokens",
    "session", "reserved",
)  # fmt: skip
_SELDOM = (
    "served_model", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "estimated",
    "reported_cost", "local_cost", "saved", "last",
)  # fmt: skip
_ORDINARY = (None, 0, 0, 0, 0, None, None, None, 1)
"""What the table says of `_SELDOM` where a row says nothing."""
_IN_MS = frozenset({"ts", "duration", "ttft"})
"""Columns whose fractions SQLite cuts off: Python takes twenty times as long."""
AT_ONCE = 25
"""Rows of one statement: a statement for each row costs a third more."""


def row_of(
    record: RequestDone, done: AttemptDone, arrived: float, reserved: int
) -> tuple[Shape, Row]:
    """Return a row, but for its kind: `_ALWAYS`, and of the others what is told."""
    request_id, ended = record.line.request_id, done.ended
    row: Row = [
        id_of(arrived, request_id, done.number), (arrived + ended) * 1000, request_id,
        done.number, 0, (ended - done.began) * 1000,
    ]  # fmt: skip
    mostly = 0
    if (prompt := done.prompt_tokens) is not None:
        mostly = 1
        row.append(prompt)
    if (completion := done.completion_tokens) is not None:
        mostly |= 2
        row.append(completion)
    if (first := done.first) is not None:
        mostly |= 4
        row.append(first * 1000)
    if (cost := done.cost) is not None:
        mostly |= 8
        row.append(cost)
    if (answer := done.response_id) is not None:
        mostly |= 16
        row.append(answer)
    if cached := done.cached_tokens:
        mostly |= 32
        row.append(cached)
    if session := record.session:
        mostly |= 64
        row.append(session)
    if reserved:
        mostly |= 128
        row.append(reserved)
    seldom = _seldom_of(done, last=done is record.tried[-1])
    if seldom == _ORDINARY:
        return mostly, row
    told = tuple(map(ne, seldom, _ORDINARY))
    row.extend(compress(seldom, told))
    return (mostly, told), row


def _seldom_of(done: AttemptDone, *, last: bool) -> tuple[object, ...]:
    return (
        None if done.served_model == done.model else done.served_model,
        done.cache_write_tokens, done.cache_write_1h_tokens, done.reasoning_tokens,
        1 if done.estimated else 0, done.reported_cost, done.local_cost, done.saved,
        1 if last else 0,
    )  # fmt: skip


def id_of(arrived: float, request_id: str, number: int) -> int:
    """Make a row's id of when its request came, some chance, and its place among the attempts.

    It stands for (request, attempt) without an index of its own, which would cost half as much as
    the row; and rows lie in the order of time, so that a span of time is a span of ids.
    """
    chance = crc32(request_id.encode("utf-8", "replace")) + number & (1 << _CHANCE) - 1
    since = int(arrived * 1000) - _EPOCH
    if not 0 <= since <= _LATEST:
        since = 0 if since < 0 else _LATEST
    return since << _CHANCE | chance


def insert(shape: Shape, rows: int) -> str:
    """Return the statement that inserts rows of a shape unless their ids are there."""
    mostly, seldom = (shape, ()) if isinstance(shape, int) else shape
    names = [name for bit, name in enumerate(_MOSTLY) if mostly >> bit & 1]
    columns = *_ALWAYS, *names, *compress(_SELDOM, seldom)
    row = ", ".join(["CAST(? AS INTEGER)" if name in _IN_MS else "?" for name in columns])
    values = ", ".join([f"({row})"] * rows)
    into = f"INSERT INTO attempt ({', '.join(columns)}) VALUES {values}"  # noqa: S608 -- names of our own
    return f"{into} ON CONFLICT DO NOTHING"
