"""Places models on Exo and removes them, as the core orders it; each order is answered once.

Nothing is retried here: a placement that is sent twice is two instances. Another supervisor may
have the same order at the same time: so each waits a moment of its own choice before it looks for
the last time.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Literal
from urllib.parse import quote

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.effects import PlaceModel, RemoveModel
from exo_supervisor.core.events import Event, ModelRemoved, PlacementChosen, PlacementSettled
from exo_supervisor.core.names import InstanceId
from exo_supervisor.core.network import NOT_SENT
from exo_supervisor.core.policy import WAITS
from exo_supervisor.runtime.fetch import Command, Get, GetError
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.placement import (
    PlacedInstances,
    Preview,
    at_work,
    choose,
    encode_placement,
    read_instances,
    read_previews,
)

LOOKING, COMMANDING = 10.0, 15.0
"""Seconds for one look, and for one command: an election holds those up for some three seconds."""
PREVIEWING = 30.0
"""Seconds for the ways to place a model: Exo asks the hub for one without a card, up to 14 s long,
and begins anew when we hang up."""
MOVES = 2.0
"""Seconds, at least, between the ways and the last look: a healthy state gets new events."""
_LONGEST = 32 * 2**20

Told = Literal["accepted", "stands", "lost", "unfit", "failed"]


class Placer:
    """Owns the orders under way: of a model, one placement and one removal a cluster at a time."""

    name = "placer"

    def __init__(
        self,
        get: Get,
        command: Command,
        inbox: MemoryObjectSendStream[Event],
        draw: Callable[[], float],
        *,
        jitter: float = WAITS.jitter,
    ) -> None:
        """`draw` returns random numbers in [0, 1)."""
        self._get, self._command, self._inbox, self._draw = get, command, inbox, draw
        self._jitter = jitter
        self._tasks: TaskGroup | None = None

    async def run(self) -> None:
        """Carry orders out until cancelled; those given before, or cut off, are never answered."""
        try:
            async with anyio.create_task_group() as self._tasks:
                await anyio.sleep_forever()
        finally:
            self._tasks = None

    def place(self, order: PlaceModel) -> None:
        """Begin to place a model."""
        if self._tasks is not None:
            self._tasks.start_soon(self._place, order)

    def remove(self, order: RemoveModel) -> None:
        """Begin to delete the instances of a model."""
        if self._tasks is not None:
            self._tasks.start_soon(self._remove, order)

    async def _place(self, order: PlaceModel) -> None:
        try:
            told, detail = await self._try(order)
        except GetError as fault:
            told, detail = "failed", f"{order.node} does not tell: {fault.detail or fault.why}"
        except WireError as fault:
            told, detail = "failed", f"{order.node} cannot be understood: {fault}"
        await self._inbox.send(
            PlacementSettled(key=order.key, ticket=order.ticket, told=told, detail=detail)
        )

    async def _try(self, order: PlaceModel) -> tuple[Told, str]:
        """Look whether it stands, ask for the ways to place it, look again, and take the best."""
        seen = await self._read_instances(order)
        if seen.stands(order.models):
            return "stands", ""
        why = ""
        for model in order.models:
            url = f"{order.url}/instance/previews?model_id={quote(model, safe='')}"
            reply = await self._get(url, timeout=PREVIEWING, limit=_LONGEST)
            if reply.status != HTTPStatus.OK:
                why = why or f"{order.node} previews no {model} (status {reply.status})"
                continue
            ways, obstacle = read_previews(reply.body)
            if ways:
                return await self._take(order, choose(ways), seen)
            why = why or obstacle
        return "unfit", why

    async def _take(
        self, order: PlaceModel, way: Preview, before: PlacedInstances
    ) -> tuple[Told, str]:
        """Place it, unless it stands by now, or the state stands still and would not show it.

        What it will be known by is told of first: there are seconds to write it down before it is
        sent, and who ends right after that must know it in the next life.
        """
        if way.id is not None:
            await self._inbox.send(PlacementChosen(key=order.key, instance=way.id))
        await anyio.sleep(MOVES + self._jitter * self._draw())
        seen = await self._read_instances(order)
        if seen.stands(order.models):
            return "stands", ""
        if seen.index is not None and seen.index == before.index:
            return "unfit", f"the state of {order.node} stands still"
        return await self._send(order, encode_placement(way))

    async def _send(self, order: PlaceModel, body: bytes) -> tuple[Told, str]:
        url = f"{order.url}/instance"
        try:
            reply = await self._command("POST", url, body, timeout=COMMANDING, limit=_LONGEST)
        except GetError as fault:
            return ("failed" if fault.why in NOT_SENT else "lost"), fault.detail
        if reply.status == HTTPStatus.OK:
            return "accepted", ""
        if reply.status == HTTPStatus.BAD_REQUEST:  # exo's check of the memory in all
            return "unfit", f"{order.node} has no room for it"
        return "failed", f"{order.node} answered with status {reply.status}"

    async def _remove(self, order: RemoveModel) -> None:
        count, why = 0, ""
        try:
            for instance in await self._removable(order):
                if await self._delete(order, instance):
                    count += 1
                else:
                    why = f"{order.node} kept an instance"
        except GetError as fault:
            why = f"{order.node}: {fault.detail or fault.why}"
        except WireError as fault:
            why = f"{order.node} cannot be understood: {fault}"
        await self._inbox.send(
            ModelRemoved(
                model=order.model,
                cluster=order.cluster,
                count=count,
                why=why,
                surplus=bool(order.only),
            )
        )

    async def _removable(self, order: RemoveModel) -> list[InstanceId]:
        """List the instances to delete; of those that are one too many, one must be left."""
        found = (await self._read_instances(order, index=False)).instances
        instances = [each for model in order.models for each in found.get(model, ())]
        if not order.only:
            return instances
        left = min((each for each in instances if each not in order.only), default=None)
        working = await self._at_work(order)
        return [
            each
            for each in instances
            if each in order.only and left is not None and left < each and each not in working
        ]

    async def _delete(self, order: RemoveModel, instance: InstanceId) -> bool:
        url = f"{order.url}/instance/{quote(instance, safe='')}"
        reply = await self._command("DELETE", url, b"", timeout=COMMANDING, limit=_LONGEST)
        return reply.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)

    async def _read_instances(
        self, order: PlaceModel | RemoveModel, *, index: bool = True
    ) -> PlacedInstances:
        """Read what stands, and how many events its state has."""
        if not order.state_paths:
            return read_instances(await self._look(order.url, "/state"))
        at = await self._look(order.url, "/state/lastEventAppliedIdx") if index else b"null"
        return read_instances(await self._look(order.url, "/state/instances"), at)

    async def _at_work(self, order: RemoveModel) -> set[InstanceId]:
        if not order.state_paths:
            return at_work(await self._look(order.url, "/state"), None)
        runners = await self._look(order.url, "/state/runners")
        return at_work(await self._look(order.url, "/state/instances"), runners)

    async def _look(self, url: str, path: str) -> bytes:
        reply = await self._get(f"{url}{path}", timeout=LOOKING, limit=_LONGEST)
        if reply.status != HTTPStatus.OK:
            raise GetError("bad_answer", f"status {reply.status} for its state")
        return reply.body
