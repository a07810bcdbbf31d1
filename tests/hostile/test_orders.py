"""Orders are taken from root, the service's user and the admin group: who else asks gets a 403."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from exo_supervisor.demo import Cloud, ExoNode
from exo_supervisor.http.peer import groups_of
from tests.app.world import CLOUD_MODEL, KEY, MODEL, World, in_process

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else"),
]

STRANGER, ADMINS, MANY = 54_321, 4_711, 40
ORDERS = (
    "/supervisor/models/{model}/place",
    "/supervisor/models/{model}/remove",
    "/supervisor/breakers/{node}/open",
    "/supervisor/breakers/{node}/auto",
    "/supervisor/nodes/{node}/trust",
    "/supervisor/nodes/trust",
    "/supervisor/nodes/untrust",
)
ASK = """
import http.client, os, socket, sys
user, *groups = map(int, sys.argv[4:])
os.setgroups(groups); os.setgid(user); os.setuid(user)
plug = socket.socket(socket.AF_UNIX); plug.connect(sys.argv[1])
line = http.client.HTTPConnection("house"); line.sock = plug
line.request(sys.argv[2], sys.argv[3])
answer = line.getresponse(); print(answer.status, answer.read().decode())
"""


async def ask(world: World, method: str, path: str, *groups: int) -> tuple[int, Any]:
    """Ask as another user, who is in these groups beside its own."""
    for each in (Path(world.path).parent, Path(world.path)):
        await anyio.Path(each).chmod(0o777)
    done = await anyio.run_process(
        [sys.executable, "-c", ASK, world.path, method, path, str(STRANGER), *map(str, groups)]
    )
    status, _, body = done.stdout.decode().partition(" ")
    return int(status), json.loads(body)


async def test_a_local_user_orders_nothing_and_the_log_names_who_tried() -> None:
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    async with node, cloud, in_process(node, cloud=cloud) as world:
        await world.ready()
        for order in ORDERS:
            path = order.format(model=MODEL, node=node.address)
            status, body = await ask(world, "POST", path)
            assert (status, body["error"]["code"]) == (403, "not_allowed"), path
        lines = await world.lines("order_refused", len(ORDERS))
        assert {line["client_uid"] for line in lines} == {STRANGER}
        assert (await ask(world, "GET", "/supervisor/status"))[0] == 200, "everybody may look"
        answer = await world.chat()
        assert answer.headers["x-supervisor-target"] == node.address


async def test_a_member_of_the_admin_group_may_by_any_of_its_groups() -> None:
    node = ExoNode("C", pace=0.0)
    async with node, in_process(node, admin_group=ADMINS) as world:
        await world.ready()
        path = f"/supervisor/breakers/{node.address}/auto"
        assert (await ask(world, "POST", path, *range(60_000, 60_000 + MANY)))[0] == 403
        assert (await ask(world, "POST", path, 60_000, ADMINS))[0] == 200
        [line] = await world.lines("order_given")
        assert (line["client_uid"], line["order"]) == (STRANGER, f"breaker {node.address} auto")


def test_the_groups_of_a_peer_are_the_kernels_word() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert os.getegid() in groups_of(one)
    with socket.socket(socket.AF_INET) as plain:
        assert groups_of(plain) == frozenset()
