"""What each client does before each target, and what it must see."""

import json
import re
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from importlib.util import find_spec
from typing import Any, Final, Protocol

from msgspec import Struct

from exo_supervisor.demo import HEALTHY, Cloud, Disease, ExoNode, MessagesCloud, text
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.clients import of_litellm, sdks
from tests.app.clients.sdks import PIXEL, RESULT, Ask, Client
from tests.app.world import CLOUD_MODEL, KEY, World, in_process

PACE: Final = 0.01
TOKENS, HEARD = 12, 3
ARGUMENTS: Final = {"city": "Paris"}


class Opening(Protocol):
    """Opens a library on the service."""

    def __call__(self, world: World, /) -> AbstractAsyncContextManager[Client]: ...


CLIENTS: Final[Mapping[str, Opening]] = {
    "openai chat": sdks.chat,
    "openai responses": sdks.responses,
    "anthropic": sdks.messages,
    "ollama": sdks.of_ollama,
    "litellm": of_litellm.of_litellm,
}
WHOLE_CALLS: Final = frozenset({"ollama"})
"""Those whose dialect tells a call at once, also in a stream."""
MISSING: Final = (
    {} if find_spec("litellm") else {"litellm": "not asked, it is not here: `pip install litellm`"}
)
"""Why a client cannot be asked here: those that are too heavy for every developer."""

Target = ExoNode | Cloud

TARGETS: Final[Mapping[str, Callable[[], Target]]] = {
    "Exo B": lambda: ExoNode("B", pace=PACE, tokens=TOKENS),
    "Exo C": lambda: ExoNode("C", pace=PACE, tokens=TOKENS),
    "OpenAI-style": lambda: Cloud(KEY, (CLOUD_MODEL,), pace=PACE, tokens=TOKENS),
    "Anthropic-style": lambda: MessagesCloud(KEY, (CLOUD_MODEL,), pace=PACE, tokens=TOKENS),
}


class Scene(Struct):
    """A client, and the one target behind the service."""

    client: Client
    world: World
    target: Target
    told_in_pieces: bool
    """Whether a call's arguments come to the client as they are made."""

    def sent(self) -> str:
        """Return what the target was asked last."""
        return json.dumps(self.target.last_request, ensure_ascii=False)


async def plain(scene: Scene) -> None:
    said = await scene.client.ask(Ask())
    assert (said.text, said.calls) == (text(TOKENS), [])


async def stream(scene: Scene) -> None:
    words = [word async for word in scene.client.stream(Ask()) if word]
    assert "".join(words) == text(TOKENS)
    assert len(words) > 1


async def tools(scene: Scene) -> None:
    """Get a call at once and as a stream, and bring its result."""
    (call,) = (await scene.client.ask(Ask(tools=True))).calls
    words = [word async for word in scene.client.stream(Ask(tools=True)) if word]
    for arguments in (call.arguments, "".join(words)):
        assert json.loads(arguments) == ARGUMENTS
    assert len(words) > 1 or not scene.told_in_pieces
    said = await scene.client.ask(Ask(tools=True, call=call))
    assert (said.text, said.calls) == (text(TOKENS), [])
    sent = scene.sent()
    assert RESULT in sent
    made = re.findall(r'"id": "(.+?)"', sent)
    of = re.findall(r'"tool_(?:call|use)_id": "(.+?)"', sent)
    assert len(made) == 1
    assert made == of
    assert call.id in {"", *made}


async def image(scene: Scene) -> None:
    said = await scene.client.ask(Ask(image=True))
    assert said.text == text(TOKENS)
    assert PIXEL in scene.sent()


async def error_before(scene: Scene) -> None:
    """Be told of an error, whose status every library has its own class for."""
    scene.target.disease = Disease("status", status=500)
    assert await _heard(scene, scene.client.refused) == ""


async def error_after(scene: Scene) -> None:
    scene.target.disease = Disease("error_event", after=HEARD)
    assert await _heard(scene, scene.client.broken) == text(HEARD)


async def _heard(scene: Scene, error: type[Exception]) -> str:
    """Return what was heard of a stream before its error."""
    heard = ""
    try:
        async for word in scene.client.stream(Ask()):
            heard += word
    except error:
        return heard
    raise AssertionError("a broken stream looks whole")


async def leaves(scene: Scene) -> None:
    """Go in the middle of a stream, and free the target by it."""
    async with aclosing(scene.client.stream(Ask())) as words:
        async for word in words:
            if word:
                break
    await scene.target.until(lambda: scene.target.cancelled_streams == 1)


CELLS: Final[Mapping[str, Callable[[Scene], Awaitable[None]]]] = {
    "plain": plain,
    "stream": stream,
    "tools": tools,
    "image": image,
    "error before": error_before,
    "error after": error_after,
    "client leaves": leaves,
}


@asynccontextmanager
async def scene(client: str, target: str) -> AsyncGenerator[Scene]:
    """Open the service with this client before it, and this target behind."""
    async with behind(target) as (world, made), CLIENTS[client](world) as opened:
        yield Scene(opened, world, made, isinstance(made, Cloud) and client not in WHOLE_CALLS)


@asynccontextmanager
async def behind(target: str) -> AsyncGenerator[tuple[World, Target]]:
    """Open the service with this target behind it."""
    made = TARGETS[target]()
    nodes = [made] if isinstance(made, ExoNode) else []
    cloud = made if isinstance(made, Cloud) else None
    with open_tcp("127.0.0.1:0") as opened:
        tcp = (opened, Secret(of_litellm.TOKEN, "the test"))
        more: Any = {"breaker": {"trip_after": 100}}
        async with made, in_process(*nodes, cloud=cloud, tcp=tcp, **more) as world:
            await world.ready(len(nodes))
            world.url = "http://{}:{}".format(*opened.getsockname())
            yield world, made


async def run(client: str, target: str) -> dict[str, str]:
    """Play all cells of a pair, one after another; what was wrong with each, empty if nothing."""
    async with scene(client, target) as opened:
        return {name: await _wrong(cell, opened) for name, cell in CELLS.items()}


async def _wrong(cell: Callable[[Scene], Awaitable[None]], scene: Scene) -> str:
    scene.target.disease = HEALTHY
    try:
        await cell(scene)
    except Exception as error:  # noqa: BLE001 - whatever a library raises is told in the table
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({at.line})"
    return ""
