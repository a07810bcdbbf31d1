"""A house of which is asked without a socket: a request, and what answers it."""

import json
import socket
from collections.abc import Mapping
from time import time
from typing import Any, cast

import anyio
from aiohttp import HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage
from msgspec import Struct
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from exo_supervisor.core.events import Event
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule, Policy
from exo_supervisor.serve.control.about import About
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import answer
from exo_supervisor.serve.control.recorded import REQUESTS, SHIFTS, Recorded
from exo_supervisor.serve.control.routes import Below, Routes
from exo_supervisor.serve.peer import let_in
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.now import Pulse, Tokens
from exo_supervisor.views.recorder import Recorder
from exo_supervisor.views.tally import Tally
from exo_supervisor.wire.chat.reader import Reader
from tests.core.story import BOTH, Story

ADMIN = ClientRule("office", admin=True)


class Said(Struct):
    """An answer."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def error(self) -> tuple[int, str, str]:
        """Its status, and its error's code and words."""
        return self.status, self.body["error"]["code"], self.body["error"]["message"]


class _Wire:
    """Stands for the connection that a request came over, and for its body; None never comes."""

    ssl_context = peername = sockname = None

    def __init__(self, plug: socket.socket | None, body: bytes | None) -> None:
        self._plug, self._body = plug, body
        self.transport = self

    def get_extra_info(self, name: str) -> socket.socket | None:
        assert name == "socket"
        return self._plug

    def set_read_chunk_size(self, size: int) -> None:
        del size

    async def readany(self) -> bytes:
        if self._body is None:
            await anyio.sleep_forever()
        said, self._body = self._body or b"", b""
        return said


def request(
    method: str, path: str, *, client: ClientRule = DEFAULT_CLIENT, body: bytes | None = b"",
    plug: socket.socket | None = None, headers: Mapping[str, str] = {},
) -> web.BaseRequest:  # fmt: skip
    """Make a request that came over a socket, or over one that is gone."""
    head = RawRequestMessage(
        method, path, HttpVersion11, CIMultiDictProxy(CIMultiDict(headers)), (),
        should_close=True, compression=None, upgrade=False, chunked=False, url=URL(path),
    )  # fmt: skip
    wire = cast("Any", _Wire(plug, body))
    made = web.BaseRequest(head, wire, wire, wire, wire, wire)
    let_in(made, client)
    return made


class House:
    """Routes before a machine to which a story was told; whoever asks is an admin's program."""

    def __init__(
        self, policy: Policy = BOTH, *nodes: str, about: About | None = None,
        below: Mapping[str, Below] | None = None, admin_group: int | None = None,
    ) -> None:  # fmt: skip
        self.story = Story(policy, *nodes)
        self.events: list[Event] = []
        self.about = about or about_it()
        machine, authority = self.story.machine, Authority(admin_group)
        recorded = Recorded(machine, self.about, authority)
        below = {REQUESTS: recorded.requests, SHIFTS: recorded.shifts} | dict(below or {})
        self.routes = Routes(machine, self._ask, self.about, authority, below)

    def _ask(self, event: Event) -> None:
        self.events.append(event)
        self.story.tell(event)

    async def ask(self, method: str, path: str, client: ClientRule = ADMIN, **more: Any) -> Said:  # noqa: ANN401 - as `request` takes it
        """Ask for something."""
        said = await answer(self.routes.look, request(method, path, client=client, **more), None)
        assert isinstance(said, web.Response)
        assert isinstance(said.body, bytes)
        return Said(said.status, json.loads(said.body or b"{}"), said.headers)

    async def get(self, path: str, client: ClientRule = ADMIN) -> Said:
        return await self.ask("GET", path, client)

    async def post(self, path: str, client: ClientRule = ADMIN) -> Said:
        return await self.ask("POST", path, client)


def about_it(**more: Any) -> About:  # noqa: ANN401 - as About takes it
    """Tell of a service that did nothing yet."""
    machine, tally, book = Machine(Policy(), 0.0), Tally(), DayBook(lambda: 0.0, "USD")
    told: dict[str, Any] = {
        "config": None, "quiet": list, "settings": {"server": {}}, "clients": list, "sockets": (),
        "reading_of": dict[RequestId, Reader]().get, "forget": lambda: None, "pins_kept": _kept,
        "metrics": _nothing, "ledger": None, "recorder": Recorder(time),
        "pulse": Pulse(machine, tally, book, EventFeed("0" * 16, str), time, Tokens()),
    }  # fmt: skip
    return About(tally=tally, book=book, **(told | more))


async def _kept() -> str | None:
    return None


async def _nothing(_accept: str) -> tuple[bytes, str]:
    return b"", "text/plain"
