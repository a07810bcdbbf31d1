"""Seeds are told of once, under the address that stands for them everywhere."""

import anyio
import pytest

from exo_supervisor.core.events import Event, NodeSighted
from exo_supervisor.core.names import Address
from exo_supervisor.discovery.static import Static, address_of


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:52415", "127.0.0.1:52415"),
        ("http://Mac-Studio.LOCAL:8000/", "mac-studio.local:8000"),
        ("http://exo.test", "exo.test:80"),
        ("HTTPS://exo.test/base", "exo.test:443"),
        ("http://[FE80::1]:52415", "[fe80::1]:52415"),
        ("http://user:secret@exo.test:1/", "exo.test:1"),
    ],
)
def test_the_address_of_a_url(url: str, address: str) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize("url", ["", "exo", "http://", "ftp://host", "http://a:99999", "http://[x"])
def test_a_url_that_leads_nowhere_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library has texts of its own
        address_of(url)


async def test_every_seed_is_told_of_once() -> None:
    seeds = [(Address(f"10.0.0.{i}:52415"), f"http://10.0.0.{i}:52415") for i in (1, 2)]
    send, inbox = anyio.create_memory_object_stream[Event](8)
    with send, inbox:
        await Static(send, seeds).run()
        told = [inbox.receive_nowait() for _ in range(inbox.statistics().current_buffer_used)]
    assert told == [
        NodeSighted(node=address, url=url, source="static", seeded=True) for address, url in seeds
    ]
