"""One house for all cells of a place: each has a target and a model of its own."""

import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from msgspec import Struct
from msgspec.structs import asdict

from exo_supervisor.core.effects import Timers
from exo_supervisor.core.policy import Waits
from exo_supervisor.demo import Cloud, ExoNode, MessagesCloud
from exo_supervisor.serve import timers as serve_timers
from tests.app.matrix.cells import Cell, Kind, Place
from tests.app.world import KEY, KEY_ENV, World, in_process

MODEL: Final = "m"
RESCUE: Final = "rescue"
OWN_TOKENS, RESCUE_TOKENS = 4, 7
PACE: Final = 0.005
"""Seconds between tokens: what comes after the first content must not come with it."""
NEVER: Final = 600.0
CLOUDS: Final = {"cloud": Cloud, "anthropic": MessagesCloud}

Json = dict[str, Any]


TIMERS: Final[dict[Kind, Timers]] = {
    "quick": Timers(30.0, 28.0, 32.0, 60.0, 34.0),
    "heavy": Timers(30.0, 28.0, 32.0, 60.0, 34.0),
    "mute": Timers(30.0, 1.2, 1.5, 3.5, 34.0),
    "slow": Timers(30.0, 28.0, 1.5, 3.5, 34.0),
    "stalling": Timers(30.0, 28.0, 32.0, 6.0, 1.0),
    "vouched": Timers(30.0, 28.0, 1.2, 60.0, 1.0),
    "walled": Timers(0.3, 28.0, 32.0, 60.0, 34.0),
}
"""Only cells that wait for a timer have a short one, so that no loaded machine changes others. No
two are alike, so that whoever waits for the wrong one is late."""
AGAIN: Final = 0.5
"""Seconds from one question about a silence to the next, and of idleness that is borne."""


class House(Struct, frozen=True):
    """The service with a target for each cell."""

    world: World
    targets: dict[str, ExoNode | Cloud]
    rescue: Cloud

    def name(self, cell: Cell) -> str:
        """Name a cell's target as the service does."""
        target = self.targets[cell.id]
        return target.address if isinstance(target, ExoNode) else cell.id


@asynccontextmanager
async def house(
    place: Place,
    cells: Sequence[Cell],
    timers: Timers,
    *,
    privacy: str = "any",
    **tables: Any,  # noqa: ANN401 - tables of TOML
) -> AsyncGenerator[House]:
    """Open a house whose targets are all well and known; `privacy` is that of each model's row."""
    targets: dict[str, ExoNode | Cloud] = {cell.id: _target(place, cell) for cell in cells}
    rescue = Cloud(KEY, (MODEL,), pace=0, tokens=RESCUE_TOKENS)
    nodes = [each for each in targets.values() if isinstance(each, ExoNode)]
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(serve_timers, "ASK_AGAIN", AGAIN)
        patch.setattr(socket, "getaddrinfo", _no_test_names(socket.getaddrinfo))
        for server in (*targets.values(), rescue):
            await stack.enter_async_context(server)
        providers = [_provider(RESCUE, rescue.base_url, priority=2)]
        if place in CLOUDS:
            providers += [_ill_provider(cell, targets[cell.id], timers) for cell in cells]
        world = await stack.enter_async_context(
            in_process(
                *nodes,
                waits=_waits(timers),
                provider=providers,
                model=[_model(place, cell) | {"privacy": privacy} for cell in cells],
                health={"interval": NEVER, "timeout": 20.0, "ready_interval": NEVER},
                timeouts=_timeouts(timers) | {"first_content_max": timers.first_content_max},
                retry={"budget": 1.0},
                server={"head": NEVER},
                **tables,
            )
        )
        await world.ready(len(nodes))
        yield House(world, targets, rescue)


def _target(place: Place, cell: Cell) -> ExoNode | Cloud:
    if place == "cloud" or place == "anthropic":  # noqa: PLR1714 - so that types are told apart
        return CLOUDS[place](KEY, (MODEL,), pace=PACE, tokens=OWN_TOKENS, keepalive_every=0.2)
    return ExoNode(place, (cell.id,), pace=PACE, tokens=OWN_TOKENS, keepalive_every=0.2)


def _model(place: Place, cell: Cell) -> Json:
    rescue = f"{RESCUE}/{MODEL}"
    if place in CLOUDS:
        return {"name": cell.id, "cloud": [f"{cell.id}/{MODEL}", rescue]}
    return {"name": cell.id, "exo": [cell.id], "cloud": [rescue]}


def _provider(name: str, base_url: str, **more: float | str) -> Json:
    return {"name": name, "base_url": base_url, "key_env": KEY_ENV, "headers": 20.0} | more


def _ill_provider(cell: Cell, server: ExoNode | Cloud, timers: Timers) -> Json:
    urls = {
        "tcp": f"http://{server.address}",
        "tls": f"https://{server.address}",
        "dns": "http://nobody.test",
        "no_route": "http://255.255.255.255",  # the kernel refuses to connect to a broadcast
    }
    url = urls[cell.row.wire]
    timeouts = _timeouts(timers)
    if isinstance(server, MessagesCloud):
        return _provider(cell.id, url, priority=1, dialect="anthropic", **timeouts)
    return _provider(cell.id, f"{url}/v1", priority=1, **timeouts)


def _timeouts(timers: Timers) -> dict[str, float]:
    named = asdict(timers)
    return {name: named[name] for name in ("connect", "headers", "first_content", "stall")}


def _waits(timers: Timers) -> Waits:
    """Make short what no configuration reaches: generation A's patience, and that of questions."""
    first = timers.first_content
    return Waits(idle=AGAIN, cold_load=first, legacy_first_content=first)


def _no_test_names(look_up: Any) -> Any:  # noqa: ANN401 - as the standard library has it
    def answer(host: str | bytes | None, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        if str(host).endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *more, **named)

    return answer
