"""Places models on Exo and removes them, as the core orders it; each order is answered once.

Nothing is retried here: a placement that is sent twice is two instances.
"""

from http import HTTPStatus
from typing import Literal
from urllib.parse import quote

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.effects import PlaceModel, RemoveModel
from exo_supervisor.core.events import Event, ModelRemoved, PlacementSettled
from exo_supervisor.core.names import InstanceId, ModelId
from exo_supervisor.runtime.fetch import Command, Get, GetError
from exo_supervisor.wire.faults import WireError
from exo_supervisor.wire.placement import choose, encode_placement, read_previews, standing

LOOKING, COMMANDING = 10.0, 15.0
"""Seconds for one look, and for one command: an election holds those up for some three seconds."""
_LONGEST = 32 * 2**20
_NOT_SENT = frozenset({"refused", "dns", "no_route", "tls"})

Told = Literal["accepted", "stands", "lost", "unfit", "failed"]


class Placer:
    """Owns the orders under way: of a model, one placement and one removal a cluster at a time."""

    name = "placer"

    def __init__(self, get: Get, command: Command, inbox: MemoryObjectSendStream[Event]) -> None:
        self._get, self._command, self._inbox = get, command, inbox
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
        """Look once more whether it stands, ask for the ways to place it, and take the best."""
        found = await self._standing(order)
        if any(model in found for model in order.models):
            return "stands", ""
        why = ""
        for model in order.models:
            url = f"{order.url}/instance/previews?model_id={quote(model, safe='')}"
            reply = await self._get(url, timeout=LOOKING, limit=_LONGEST)
            if reply.status != HTTPStatus.OK:
                why = why or f"{order.node} previews no {model} (status {reply.status})"
                continue
            ways, obstacle = read_previews(reply.body)
            if ways:
                return await self._send(order, encode_placement(choose(ways)))
            why = why or obstacle
        return "unfit", why

    async def _send(self, order: PlaceModel, body: bytes) -> tuple[Told, str]:
        url = f"{order.url}/instance"
        try:
            reply = await self._command("POST", url, body, timeout=COMMANDING, limit=_LONGEST)
        except GetError as fault:
            return ("failed" if fault.why in _NOT_SENT else "lost"), fault.detail
        if reply.status == HTTPStatus.OK:
            return "accepted", ""
        if reply.status == HTTPStatus.BAD_REQUEST:  # exo's check of the memory in all
            return "unfit", f"{order.node} has no room for it"
        return "failed", f"{order.node} answered with status {reply.status}"

    async def _remove(self, order: RemoveModel) -> None:
        count, why = 0, ""
        try:
            found = await self._standing(order)
            for instance in (each for model in order.models for each in found.get(model, ())):
                if await self._delete(order, instance):
                    count += 1
                else:
                    why = f"{order.node} kept an instance"
        except GetError as fault:
            why = f"{order.node}: {fault.detail or fault.why}"
        except WireError as fault:
            why = f"{order.node} cannot be understood: {fault}"
        await self._inbox.send(
            ModelRemoved(model=order.model, cluster=order.cluster, count=count, why=why)
        )

    async def _delete(self, order: RemoveModel, instance: InstanceId) -> bool:
        url = f"{order.url}/instance/{quote(instance, safe='')}"
        reply = await self._command("DELETE", url, b"", timeout=COMMANDING, limit=_LONGEST)
        return reply.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND)

    async def _standing(self, order: PlaceModel | RemoveModel) -> dict[ModelId, list[InstanceId]]:
        whole = not order.state_paths
        url = f"{order.url}/state" if whole else f"{order.url}/state/instances"
        reply = await self._get(url, timeout=LOOKING, limit=_LONGEST)
        if reply.status != HTTPStatus.OK:
            raise GetError("bad_answer", f"status {reply.status} for its state")
        return standing(reply.body, whole=whole)
