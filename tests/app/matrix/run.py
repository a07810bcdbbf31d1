"""Runs cells, many at once in one house, and tells what each came to."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import anyio

from exo_supervisor.demo import text
from exo_supervisor.demo.answers import FOREIGN
from tests.app.matrix.cells import Booked, Cell, Client, Kind, Place, Told
from tests.app.matrix.house import OWN_TOKENS, RESCUE_TOKENS, TIMERS, House, house
from tests.app.world import PATIENCE, asking, events, post
from tests.demo.raw import Reply, taken_apart

AT_ONCE: Final[dict[Kind, int]] = {
    "quick": 16,
    "heavy": 1,
    "slow": 64,
    "stalling": 64,
    "vouched": 64,
    "walled": 8,
}
"""Cells at once."""
CALL: Final = '{"city": "Paris"}'
TOOL: Final = {"type": "function", "function": {"name": "weather"}}

Json = dict[str, Any]


async def run(place: Place, cells: Sequence[Cell]) -> dict[str, Told]:
    """Run the cells of one place; what they came to, by id."""
    told: dict[str, Told] = {}
    for kind in TIMERS:
        chosen = [cell for cell in cells if cell.row.kind == kind]
        if chosen:
            told |= await _run(place, kind, chosen)
    return told


async def _run(place: Place, kind: Kind, cells: Sequence[Cell]) -> dict[str, Told]:
    replies: dict[str, Reply] = {}
    limit = anyio.CapacityLimiter(AT_ONCE[kind])
    async with house(place, cells, TIMERS[kind]) as made:

        async def ask(cell: Cell) -> None:
            async with limit:
                replies[cell.id] = await _ask(made, cell)

        async with anyio.create_task_group() as tasks:
            for cell in cells:
                tasks.start_soon(ask, cell)
        rows = (await made.world.look("/supervisor/breakers"))["breakers"]
        await made.world.lines("request_done", len(cells))
        lines = events(made.world.log(), "request_done")
        return {cell.id: _told(made, cell, replies[cell.id], rows, lines) for cell in cells}


async def _ask(made: House, cell: Cell) -> Reply:
    made.targets[cell.id].disease = cell.row.disease
    more: Json = {"model": cell.id}
    if cell.mode == "stream":
        more |= {"stream": True, "stream_options": {"include_usage": True}}
    if cell.row.tools:
        more["tools"] = [TOOL]
    return taken_apart(await _exchanged(made.world.path, json.dumps(asking(**more)).encode()))


async def _exchanged(path: str, body: bytes) -> bytes:
    """Send a request and return what comes until the connection ends, however it ends."""
    parts: list[bytes] = []
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_unix(path) as client:
            await client.send(post(body))
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    parts.append(await client.receive(2**20))
    return b"".join(parts)


def _told(made: House, cell: Cell, reply: Reply, rows: list[Json], lines: list[Json]) -> Told:
    name = made.name(cell)
    failed = [row for row in rows if row["target"] == name and row["failures"]]
    mine = [line for line in lines if line["model"] == cell.id]
    done = mine[0]
    return Told(
        client=_client(cell, reply, done, name),
        fault=failed[0]["last"] if failed else None,
        booked=_booked(failed),
        attempts=done["attempts"],
        shift=done["shift"],
        status=done["status"],
        code=done["code"],
        outcome=done["outcome"],
        lines=len(mine),
    )


def _booked(failed: list[Json]) -> Booked:
    if len(failed) > 1:
        return "both"
    if not failed:
        return "none"
    return "target" if failed[0]["model"] is None else "model"


def _client(cell: Cell, reply: Reply, done: Json, name: str) -> Client:
    """Say what the client got, headers and log agreeing on it."""
    head = reply.headers
    if reply.status != done["status"] or head["x-request-id"] != done["request_id"]:
        return "half"
    if reply.status != 200:
        error = json.loads(reply.body)["error"]
        return "error" if reply.whole and error["code"] == done["code"] else "half"
    shown = (head["x-supervisor-target"], int(head["x-supervisor-attempts"]))
    if shown != (done["target"], done["attempts"]):
        return "half"
    if head.get("x-supervisor-shift") != done["shift"]:
        return "half"
    if cell.mode == "stream" and not reply.whole:
        return "broken" if _is_broken(reply, done) else "half"
    said = _streamed(reply) if cell.mode == "stream" else _plain(reply)
    if not reply.whole or said != _wanted(cell, own=done["target"] == name):
        return "half"
    return "whole" if done["target"] == name else "rescued"


def _is_broken(reply: Reply, done: Json) -> bool:
    """Say whether the stream's end cannot be taken for that of a whole one."""
    *chunks, last = _events(reply)
    begun = [choice for chunk in chunks for choice in chunk["choices"]]
    return (
        bool(begun)
        and not any(choice["finish_reason"] for choice in begun)
        and "error" in last
        and last["error"]["code"] == done["code"]
    )


def _events(reply: Reply) -> list[Json]:
    blocks = reply.body.decode().split("\n\n")
    return [
        json.loads(block.removeprefix("data: ")) for block in blocks if block.startswith("data: {")
    ]


def _streamed(reply: Reply) -> str | None:
    """Put a stream's words together, None if it does not end as one does."""
    if not reply.body.endswith(b"data: [DONE]\n\n"):
        return None
    choices = [choice for chunk in _events(reply) for choice in chunk["choices"]]
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return "".join(_words(choice["delta"]) for choice in choices) if len(ends) == 1 else None


def _plain(reply: Reply) -> str | None:
    [choice] = json.loads(reply.body)["choices"]
    return _words(choice["message"]) if choice["finish_reason"] else None


def _words(part: Json) -> str:
    calls: list[Json] = part.get("tool_calls") or []
    spoken = part.get("content") or ""
    return spoken + "".join(call["function"].get("arguments", "") for call in calls)


def _wanted(cell: Cell, *, own: bool) -> str:
    if cell.row.tools:
        return CALL
    if not own:
        return text(RESCUE_TOKENS)
    ill = cell.row.disease
    if ill.name == "huge_event":
        size = ill.size // 2 if cell.place == "A" else ill.size
        return "x" * size + text(OWN_TOKENS).removeprefix(text(1))
    return text(OWN_TOKENS, FOREIGN) if ill.name == "split_characters" else text(OWN_TOKENS)
