"""The demo's generation C speaks its own discovery protocol byte for byte."""

import socket
from collections.abc import AsyncIterator

import anyio
import pytest

from exo_supervisor.demo import ExoNode
from exo_supervisor.demo.announce_c import PORT, AnnouncerC

pytestmark = pytest.mark.real_time
NAMESPACE = bytes.fromhex("6e2bf1dad2aa1268")
HELLO = b"EXO\x00" + b"question" + NAMESPACE


@pytest.fixture
async def node() -> AsyncIterator[ExoNode]:
    async with ExoNode("C") as node:
        yield node


async def answered(node: ExoNode, *datagrams: bytes, then: bytes = HELLO) -> bytes:
    """Say datagrams to an announcer on no interface, and return its first answer to them."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asker:
        asker.settimeout(0)
        asker.bind(("::1", 0))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(AnnouncerC(node, interfaces=["none"]).run)
            await anyio.lowlevel.checkpoint()
            for datagram in (*datagrams, then):
                asker.sendto(datagram, ("::1", PORT))
            with anyio.fail_after(60):
                await anyio.wait_readable(asker)
            tasks.cancel_scope.cancel()
        return asker.recv(100)


async def test_a_hello_is_answered_with_the_id_and_zenohs_port(node: ExoNode) -> None:
    answer = await answered(node)
    zid = int(node.node_id, 16).to_bytes(16, "little")
    assert answer == b"EXO\x01" + b"question" + zid + bytes.fromhex("becc")
    assert len(answer) == 30


async def test_another_namespace_and_garbage_are_not_answered(node: ExoNode) -> None:
    other = b"EXO\x00" + b"stranger" + bytes(8)
    assert (await answered(node, other, b"", b"EXO", HELLO + b"\0"))[4:12] == b"question"


async def test_an_answer_to_no_question_makes_no_peer(node: ExoNode) -> None:
    announcer = AnnouncerC(node, interfaces=["none"])
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(0)
        stranger.bind(("::1", 0))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(announcer.run)
            await anyio.lowlevel.checkpoint()
            stranger.sendto(b"EXO\x01" + b"stranger" + b"\1" * 16 + b"\0\0", ("::1", PORT))
            stranger.sendto(HELLO, ("::1", PORT))
            with anyio.fail_after(60):
                await anyio.wait_readable(stranger)
            tasks.cancel_scope.cancel()
    assert announcer.peers == {}
