"""The TCP listener is announced where it can be reached, and taken back at the end."""

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


class Browser:
    """Another program on this machine that looks for such services."""

    def __init__(self, group: AsyncZeroconf) -> None:
        self.group, self.names = group, set[str]()

    def hear(self, **heard: Any) -> None:  # noqa: ANN401 - the library's names
        if heard["state_change"] is ServiceStateChange.Added:
            self.names.add(heard["name"])
        if heard["state_change"] is ServiceStateChange.Removed:
            self.names.discard(heard["name"])

    async def until(self, many: int) -> None:
        with anyio.fail_after(60):
            while len(self.names) != many:  # noqa: ASYNC110 - it has no event to wait for
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
            tasks.start_soon(Advertise(LOOPBACK, 11435, "1.2.3").run)
            await browser.until(1)
            info = AsyncServiceInfo(SERVICE, next(iter(browser.names)))
            assert await info.async_request(browser.group.zeroconf, 3000)
            assert (info.parsed_addresses(), info.port) == (["127.0.0.1"], 11435)
            assert info.properties == {b"path": b"/v1", b"version": b"1.2.3"}
            tasks.cancel_scope.cancel()
        await browser.until(0)


async def test_two_services_on_one_machine_have_two_names() -> None:
    async with browsing() as browser, anyio.create_task_group() as tasks:
        tasks.start_soon(Advertise(LOOPBACK, 11435, "1").run)
        await browser.until(1)
        tasks.start_soon(Advertise(LOOPBACK, 11436, "1").run)
        await browser.until(2)
        tasks.cancel_scope.cancel()
