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
from tests.app.matrix.speakers import SPEAKERS
from tests.app.world import PATIENCE, events, post
from tests.demo.raw import Reply, taken_apart

AT_ONCE: Final[dict[Kind, int]] = {
    "quick": 16,
    "heavy": 1,
    "mute": 24,
    "slow": 24,
    "stalling": 64,
    "vouched": 64,
    "walled": 8,
}
"""Cells at once."""
HOUSED: Final = 128
"""Cells in one house: each has a target, which is looked at before anybody asks."""
CALL: Final = '{"city": "Paris"}'

Json = dict[str, Any]


async def run(place: Place, cells: Sequence[Cell]) -> dict[str, Told]:
    """Run the cells of one place; what they came to, by id."""
    told: dict[str, Told] = {}
    for kind in TIMERS:
        chosen = [cell for cell in cells if cell.row.kind == kind]
        for at in range(0, len(chosen), HOUSED):
            told |= await _run(place, kind, chosen[at : at + HOUSED])
    return told


async def _run(place: Place, kind: Kind, cells: Sequence[Cell]) -> dict[str, Told]:
    replies: dict[str, Reply] = {}
    limit = anyio.CapacityLimiter(AT_ONCE[kind])
    async with house(place, cells, TIMERS[kind]) as made:

        async def ask(cell: Cell) -> None:
            async with limit:
                replies[cell.id] = await ask_cell(made, cell)

        async with anyio.create_task_group() as tasks:
            for cell in cells:
                tasks.start_soon(ask, cell)
        rows = (await made.world.look("/supervisor/breakers"))["breakers"]
        await made.world.lines("request_done", len(cells))
        lines = events(made.world.log(), "request_done")
        return {cell.id: _told(made, cell, replies[cell.id], rows, lines) for cell in cells}


async def ask_cell(made: House, cell: Cell, *headers: str) -> Reply:
    """Let a cell's target fall ill, and ask it."""
    made.targets[cell.id].disease = cell.row.disease
    speaker = SPEAKERS[cell.dialect]
    body = {"model": cell.id, **speaker.asking}
    if cell.mode == "stream":
        body |= speaker.streaming
    if cell.row.tools:
        body["tools"] = [speaker.tool]
    asked = post(json.dumps(body).encode(), *headers, path=speaker.path)
    return taken_apart(await _exchanged(made.world.path, asked))


async def _exchanged(path: str, asked: bytes) -> bytes:
    """Send a request and return what comes until the connection ends, however it ends."""
    parts: list[bytes] = []
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_unix(path) as client:
            await client.send(asked)
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
    head, speaker = reply.headers, SPEAKERS[cell.dialect]
    if reply.status != done["status"] or head["x-request-id"] != done["request_id"]:
        return "half"
    if reply.status != 200:
        return "error" if reply.whole and speaker.code(reply) == done["code"] else "half"
    shown = (head["x-supervisor-target"], int(head["x-supervisor-attempts"]))
    if shown != (done["target"], done["attempts"]):
        return "half"
    if head.get("x-supervisor-shift") != done["shift"]:
        return "half"
    if cell.mode == "stream" and not reply.whole:
        return "broken" if speaker.broken(reply) == done["code"] else "half"
    if not reply.whole:
        return "half"
    streams = cell.mode == "stream"
    said = speaker.streamed(reply) if streams else speaker.plain(json.loads(reply.body))
    if said != _wanted(cell, own=done["target"] == name):
        return "half"
    return "whole" if done["target"] == name else "rescued"


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
