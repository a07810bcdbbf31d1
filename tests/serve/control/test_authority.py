"""Orders are taken of those whom the kernel vouches for, or whose client's row says so."""

import os
import socket
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule, Policy
from tests.serve.control.asked import ADMIN, House

WHO = (
    "only root, the service's user, members of server.admin_group and clients with admin = true"
    " may give orders"
)
FORGET = "/supervisor/nodes/forget"


@pytest.fixture
def plug() -> Iterator[socket.socket]:
    near, far = socket.socketpair(socket.AF_UNIX)
    with near, far:
        yield far


async def test_the_services_own_user_may_and_is_named(plug: socket.socket) -> None:
    with capture_logs() as lines:
        said = await House(Policy()).ask("POST", FORGET, DEFAULT_CLIENT, plug=plug)
    assert said.status == 200
    assert lines == [
        {
            "event": "order_given", "log_level": "info", "order": "forget nodes",
            "client_uid": os.geteuid(), "client": DEFAULT_CLIENT.name,
        }
    ]  # fmt: skip


ORDERS = (
    FORGET, "/supervisor/nodes/trust", "/supervisor/breakers/a:1/open",
    "/supervisor/models/m/place",
)  # fmt: skip


async def test_over_tcp_only_a_client_that_is_an_admin_may() -> None:
    for path in ORDERS:
        house = House(Policy(), "a:1")
        with capture_logs() as lines:
            said = await house.ask("POST", path, ClientRule("kids"))
        assert said.error == (
            403, "not_allowed", f"{WHO}; over TCP such clients alone",
        )  # fmt: skip
        assert [line["event"] for line in lines] == ["order_refused"]
        assert (lines[0]["client_uid"], lines[0]["client"]) == (None, "kids")
        assert not house.events
        assert (await house.ask("POST", path, ADMIN)).status == 200


async def test_who_is_gone_is_nobody() -> None:
    """Its connection is closed, so that the kernel tells nothing of it any more."""
    near, far = socket.socketpair(socket.AF_UNIX)
    near.close()
    far.close()
    said = await House(Policy()).ask("POST", FORGET, DEFAULT_CLIENT, plug=None)
    assert said.status == 403


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else")
async def test_a_member_of_the_admin_group_may_and_another_user_may_not() -> None:
    os.setegid(54_321)
    os.seteuid(54_322)
    try:
        near, far = socket.socketpair(socket.AF_UNIX)  # the kernel notes who it was
    finally:
        os.seteuid(0)
        os.setegid(0)
    with near, far:
        for group, status in ((54_321, 200), (54_322, 403), (None, 403)):
            house = House(Policy(), admin_group=group)
            with capture_logs() as lines:
                said = await house.ask("POST", FORGET, DEFAULT_CLIENT, plug=far)
            assert said.status == status
            assert lines[0]["client_uid"] == 54_322
            assert status == 200 or said.error[2] == WHO
