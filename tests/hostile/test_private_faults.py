"""All faults of the matrix, under `local_only` by each way to say it: none leads out of the house.

An audit hook records every connection that this process opens, the service's among them.
"""

import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from tests.app.matrix.cells import Cell
from tests.app.matrix.house import RESCUE, TIMERS, house
from tests.app.matrix.run import ask_cell
from tests.app.matrix.speakers import SPEAKERS
from tests.app.matrix.table import CELLS
from tests.app.world import CLOUD_MODEL, KEY, MODEL, in_process, post
from tests.demo.raw import Reply

pytestmark = pytest.mark.real_time

ME = {"name": "me", "uid": [os.geteuid()], "privacy": "local_only"}
WAYS: Final[Mapping[str, dict[str, Any]]] = {
    "header": {},
    "model": {"privacy": "local_only"},
    "client": {"client": [ME]},
    "house": {"routing": {"privacy": "local_only", "patience": 0.3}},
}
HEADER = "x-supervisor-privacy: local_only"
LISTS = {"/v1/models"}
ALL: Final = [
    cell
    for cell in CELLS.values()
    if (cell.place, cell.dialect) == ("C", "chat") and cell.row.kind in ("quick", "vouched")
]
"""Every fault that a node of the youngest Exo can have, but those that wait for long."""
AT_ONCE: Final = 20
FAULTS: Final = {"refused", "status_500", "status_429", "error_first", "cut_later"}
FEW: Final = [cell for cell in ALL if cell.mode == "stream" and cell.row.name in FAULTS]
_recording: list[set[int]] = []


def _note(event: str, told: tuple[Any, ...]) -> None:
    """Note the port of each connection over the internet's protocols."""
    if event == "socket.connect" and _recording and isinstance(told[1], tuple):
        port = cast("tuple[str, int]", told[1])[1]
        for ports in _recording:
            ports.add(port)


sys.addaudithook(_note)


@contextmanager
def recorded() -> Generator[set[int]]:
    """Record the ports that are connected to."""
    ports = set[int]()
    _recording.append(ports)
    try:
        yield ports
    finally:
        _recording.remove(ports)


async def played(way: str, cells: list[Cell]) -> None:
    """Ask all cells, and look where anybody went."""
    tables, headers = WAYS[way], (HEADER,) if way == "header" else ()
    replies: dict[str, Reply] = {}
    with recorded() as ports:
        async with house("C", cells, TIMERS[cells[0].row.kind], **tables) as made:

            async def ask(cell: Cell) -> None:
                replies[cell.id] = await ask_cell(made, cell, *headers)

            async with anyio.create_task_group() as tasks:
                for cell in cells:
                    tasks.start_soon(ask, cell)
            await made.world.lines("request_done", len(cells))
            assert (await made.world.look("/supervisor/egress"))["bytes"] == 0
            targets = {each.port for each in made.targets.values()}
            rescue = made.rescue
    assert set(rescue.requests) <= LISTS, "a provider was asked for more than its list"
    assert ports & targets, "a recorder that sees nothing proves nothing"
    assert ports <= targets | {rescue.port}
    assert (rescue.port in ports) == (way != "house"), "and in such a house not even for that"
    for cell in cells:
        reply = replies[cell.id]
        assert reply.headers.get("x-supervisor-target") != RESCUE, cell.id
        assert cell.told.client != "rescued" or reply.status >= 400 or not reply.whole, cell.id


@pytest.mark.parametrize("way", WAYS)
async def test_a_fault_leads_nobody_out_of_the_house(way: str) -> None:
    await played(way, FEW)


@pytest.mark.alone
@pytest.mark.parametrize("way", WAYS)
async def test_no_fault_of_the_matrix_leads_anybody_out_of_the_house(way: str) -> None:
    for kind in ("quick", "vouched"):
        cells = [cell for cell in ALL if cell.row.kind == kind]
        for at in range(0, len(cells), AT_ONCE):
            await played(way, cells[at : at + AT_ONCE])


@pytest.mark.parametrize("way", ["client", "house"])
async def test_it_fails_closed_with_its_own_error_in_every_dialect(way: str) -> None:
    node, cloud = ExoNode("C"), Cloud(KEY, (CLOUD_MODEL,))
    async with node, cloud, in_process(node, cloud=cloud, **WAYS[way]) as world:
        await world.ready()
        await node.stop()
        await world.ready(0)
        for dialect, speaker in SPEAKERS.items():
            asked = json.dumps({"model": MODEL, **speaker.asking}).encode()
            reply = await world.raw(post(asked, path=speaker.path))
            said = dialect, reply.status, speaker.code(reply)
            assert said == (dialect, 503, "local_only_unavailable")
        assert cloud.requests["/v1/chat/completions"] == 0
