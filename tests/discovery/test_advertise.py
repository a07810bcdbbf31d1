"""The TCP listener is announced where it can be reached, and taken back at the end."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from typing import Any

import anyio
import pytest
from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from exo_supervisor.discovery.advertise import SERVICE, Advertise

pytestmark = pytest.mark.real_time
LOOPBACK = IPv4Address("127.0.0.1")
_FIRST = 20_000 + 2 * (os.getpid() % 10_000)
PORTS = (_FIRST, _FIRST + 1)
"""Of this process alone: whoever else runs these tests on this machine is heard, too."""


class Browser:
    """Another program on this machine that looks for such services."""

    def __init__(self, group: AsyncZeroconf) -> None:
        self.zeroconf, self.names = group.zeroconf, set[str]()

    def hear(self, **heard: Any) -> None:  # noqa: ANN401 - the library's names
        if heard["state_change"] is ServiceStateChange.Added:
            self.names.add(heard["name"])
        if heard["state_change"] is ServiceStateChange.Removed:
            self.names.discard(heard["name"])

    async def until(self, *ports: int) -> list[AsyncServiceInfo]:
        """Wait until of PORTS just these are told."""
        with anyio.fail_after(60):
            while True:
                infos = [AsyncServiceInfo(SERVICE, name) for name in sorted(self.names)]
                heard = [each for each in infos if await each.async_request(self.zeroconf, 50)]
                ours = [each for each in heard if each.port in PORTS]
                if sorted(each.port or 0 for each in ours) == list(ports):
                    return ours
                await anyio.sleep(0.01)


@asynccontextmanager
async def browsing() -> AsyncGenerator[Browser]:
    group = AsyncZeroconf(interfaces=[str(LOOPBACK)], ip_version=IPVersion.V4Only)
    browser = Browser(group)
    try:
        AsyncServiceBrowser(group.zeroconf, SERVICE, handlers=[browser.hear])
        yield browser
    finally:
        await group.async_close()


async def test_it_is_announced_on_loopback_and_taken_back() -> None:
    async with browsing() as browser:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Advertise(LOOPBACK, PORTS[0], "1.2.3").run)
            [info] = await browser.until(PORTS[0])
            assert info.parsed_addresses() == ["127.0.0.1"]
            assert info.properties == {b"path": b"/v1", b"version": b"1.2.3"}
            tasks.cancel_scope.cancel()
        await browser.until()


async def test_two_services_on_one_machine_have_two_names() -> None:
    async with browsing() as browser, anyio.create_task_group() as tasks:
        tasks.start_soon(Advertise(LOOPBACK, PORTS[0], "1").run)
        await browser.until(PORTS[0])
        tasks.start_soon(Advertise(LOOPBACK, PORTS[1], "1").run)
        await browser.until(*PORTS)
        tasks.cancel_scope.cancel()
