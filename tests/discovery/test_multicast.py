"""The source of generation C is quiet, and says why, where it cannot work.

What it does on a LAN is shown by hosts as network namespaces, beside the other sources.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv6Address

import anyio
import pytest
from structlog.testing import capture_logs

from exo_supervisor.core.events import Event
from exo_supervisor.discovery.group import PORT, open_listener, open_sender, send
from exo_supervisor.discovery.multicast import NO_IPV6, NO_SUCH_LINK, Multicast
from exo_supervisor.discovery.neighbours import Link
from tests.discovery.house import HOUSE

GONE = Link(999_999, "eth9", (), (IPv6Address("fe80::1"),))
LOOPBACK = Link(1, "lo", (), (IPv6Address("::1"),))


async def lasting(
    seconds: float, links: Callable[[], Sequence[Link]], interfaces: Sequence[str] = ()
) -> tuple[str | None, list[str]]:
    """Run a source for so long; return why it is quiet, and the events it logged."""
    send, inbox = anyio.create_memory_object_stream[Event](8)
    multicast = Multicast(send, [52415], HOUSE, links=links, interfaces=interfaces)
    with send, inbox, capture_logs() as logs:
        with anyio.move_on_after(seconds):
            await multicast.run()
    return multicast.why_quiet, [line["event"] for line in logs]


async def test_without_ipv6_it_is_quiet_and_says_so_once() -> None:
    assert await lasting(60.0, list) == (NO_IPV6, ["multicast_quiet"])


async def test_without_the_interfaces_that_were_named_it_is_quiet() -> None:
    assert await lasting(9.0, lambda: [GONE], ["eth0"]) == (NO_SUCH_LINK, ["multicast_quiet"])


async def test_a_kernel_that_does_not_list_interfaces_makes_it_quiet() -> None:
    def refused() -> list[Link]:
        raise OSError(97, "Address family not supported by protocol")

    why, logged = await lasting(60.0, refused)
    assert why is not None
    assert why.endswith("Address family not supported by protocol")
    assert logged == ["multicast_quiet"]


async def test_a_link_that_cannot_be_used_is_told_of_once_and_left_when_it_is_gone() -> None:
    looks = [[GONE], [GONE], [GONE]]
    why, logged = await lasting(60.0, lambda: looks.pop() if looks else [])
    assert why == NO_IPV6
    assert logged == ["multicast_unavailable", "multicast_quiet"]


async def test_a_namespace_that_is_too_long_is_a_value_error() -> None:
    send, inbox = anyio.create_memory_object_stream[Event](8)
    with send, inbox, pytest.raises(ValueError, match="1024"):
        Multicast(send, [52415], HOUSE, namespaces=["n" * 1025])


def test_questions_come_from_another_port_than_exos() -> None:
    with open_sender(LOOPBACK) as sender:
        assert sender.getsockname()[1] not in {0, PORT}


def test_a_link_that_takes_no_multicast_is_no_error() -> None:
    with open_sender(LOOPBACK) as sender:
        assert not send(sender, [b"hello"])


def test_the_ear_is_on_the_groups_address_and_not_on_every_one() -> None:
    """On the wildcard address it would be given answers that are meant for an Exo."""
    with open_listener(LOOPBACK) as listener:
        assert listener.getsockname()[:2] == ("ff12::e0a1:de89", PORT)
