"""Who listens at a port is the same whether the kernel is asked for it or its tables are read."""

import errno
import os
import shutil
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, ip_address

import anyio
import pytest

from exo_supervisor.host import sock_diag
from exo_supervisor.host.owners import Listeners, Owners, read_listeners
from exo_supervisor.host.sock_diag import read_listeners_at
from tests.ports import quiet_port

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(not sock_diag.HAS_NETLINK, reason="Linux alone has sock_diag(7)"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else")

STRANGER = 54_321
HEADER, QUESTION = 16, 56
"""Bytes of a struct nlmsghdr and of a struct inet_diag_req_v2."""
DONE = b"\x14\0\0\0\3".ljust(HEADER + 4, b"\0")
"""An answer that names nobody."""
HERE = ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "::ffff:127.0.0.2")
EVERYWHERE = ("0.0.0.0", "::", "::ffff:0.0.0.0")
ASKED = [ip_address(each) for each in HERE]


@pytest.fixture
def port() -> Iterator[int]:
    """Keep a port of both families for one test, at an address where nobody asks."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.9", quiet_port()))
        yield kept.getsockname()[1]


def listens(
    at: str, port: int, *, user: int | None = None, only_ipv6: bool = True
) -> socket.socket:
    """Listen there, beside others that do so, as a user."""
    listener = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if ":" in at:
        only = only_ipv6 and not at.startswith("::ffff:")
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    listener.bind((at, port))
    listener.listen()
    if user is not None:
        os.fchown(listener.fileno(), user, -1)
    return listener


async def told(port: int) -> list[frozenset[int]]:
    """Ask of each address in both ways, which must agree."""
    read, ask = Owners(read_listeners), Owners(_no_tables, read_listeners_at)
    found = [await ask(ip, port) for ip in ASKED]
    assert found == [await read(ip, port) for ip in ASKED]
    return found


def _no_tables() -> Listeners:
    raise AssertionError("the kernel was to be asked")


@pytest.mark.parametrize("at", [*HERE, *EVERYWHERE])
@pytest.mark.parametrize("only_ipv6", [True, False])
async def test_a_listener_at_any_address_is_found_where_it_takes_connections(
    at: str, port: int, *, only_ipv6: bool
) -> None:
    with listens(at, port, only_ipv6=only_ipv6):
        found = await told(port)
    same = {at, f"::ffff:{at}", at.removeprefix("::ffff:")}
    assert found == [
        frozenset({os.geteuid()} if at in EVERYWHERE or each in same else ()) for each in HERE
    ]


async def test_what_is_bound_or_connected_does_not_listen(port: int) -> None:
    with listens("127.0.0.1", port) as listener, socket.create_connection(("127.0.0.1", port)):
        taken, _ = listener.accept()
        listener.close()
        with taken:
            assert taken.getsockname()[1] == port
            assert set(await told(port)) == {frozenset()}


@as_root
async def test_of_two_users_at_one_port_both_are_told(port: int) -> None:
    """A socket may be handed to another user while it shares a port, or is beside the other's."""
    with ExitStack() as sockets:
        for at, user in (("127.0.0.1", None), ("127.0.0.1", STRANGER), ("::", 7)):
            sockets.enter_context(listens(at, port, user=user))
        first, second, third, *_ = await told(port)
    assert (first, second, third) == ({0, 7, STRANGER}, {7}, {7})


@as_root
@pytest.mark.skipif(not shutil.which("unshare"), reason="another network takes unshare")
async def test_a_listener_in_another_network_is_not_there(port: int) -> None:
    listen = (
        f"import socket; s = socket.socket(); s.bind(('', {port})); s.listen(); "
        "print(flush=True); input()"
    )
    command = ["unshare", "--net", sys.executable, "-c", listen]
    async with await anyio.open_process(command) as other:
        assert other.stdout is not None
        assert await other.stdout.receive() == b"\n"
        assert set(await told(port)) == {frozenset()}
        other.terminate()


async def test_among_many_listeners_those_at_other_ports_are_not_told(port: int) -> None:
    with ExitStack() as sockets:
        for _ in range(300):
            sockets.enter_context(listens("127.0.0.1", 0))
        for at in ("127.0.0.1", "::1"):
            for _ in range(300):
                sockets.enter_context(listens(at, port))
        assert len(read_listeners_at(port)) == 600
        await told(port)


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, *answers: bytes) -> Generator[socket.socket]:
    """Have another kernel answer; its end of the socket is given."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def ask_it(*_: int) -> socket.socket:
        return ours

    with ours, kernel, monkeypatch.context() as patch:
        for each in answers:
            kernel.send(each)
        patch.setattr(socket, "socket", ask_it)
        yield kernel


async def test_the_kernel_is_asked_in_as_many_bytes_as_it_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(monkeypatch, DONE, DONE) as kernel:
        assert read_listeners_at(80) == []
        assert [len(kernel.recv(1024)) for _ in range(2)] == [HEADER + QUESTION] * 2


@pytest.mark.parametrize("answer", [b"\0", bytes(HEADER), DONE[:HEADER], DONE[:-1]])
async def test_a_kernel_that_answers_otherwise_counts_as_one_that_refuses(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that stands in for Linux, say; or the answer is cut."""
    owners = Owners(lambda: Listeners(set, {"0100007F:0050": {7}}), read_listeners_at)
    with answering(monkeypatch, answer):
        assert await owners(IPv4Address("127.0.0.1"), 80) == {7}


async def test_who_is_refused_an_answer_reads_the_tables_from_then_on() -> None:
    asked = list[int]()

    def refuse(port: int) -> list[tuple[bytes, int]]:
        asked.append(port)
        raise OSError(errno.EAFNOSUPPORT, "no netlink for this service")

    owners = Owners(lambda: Listeners(set, {"0100007F:0050": {7}}), refuse)
    for _ in range(2):
        assert await owners(IPv4Address("127.0.0.1"), 80) == {7}
    assert asked == [80]


async def test_where_no_descriptor_is_left_nobody_is_told_and_the_next_is_asked_again() -> None:
    answers = iter([None, [(IPv4Address("127.0.0.1").packed, 7)]])

    def ask(_port: int) -> list[tuple[bytes, int]]:
        answer = next(answers)
        if answer is None:
            raise OSError(errno.EMFILE, "too many open files")
        return answer

    owners = Owners(_no_tables, ask)
    with pytest.raises(OSError, match="too many"):
        await owners(IPv4Address("127.0.0.1"), 80)
    assert await owners(IPv4Address("127.0.0.1"), 80) == {7}
