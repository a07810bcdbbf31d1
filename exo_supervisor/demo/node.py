"""One demo Exo node of any generation."""

import secrets
import uuid
from typing import Any

from aiohttp import web

from exo_supervisor.demo.cluster import ExoCluster, Generation, Member
from exo_supervisor.demo.diseases import Disease
from exo_supervisor.demo.exo_a import LegacyApi
from exo_supervisor.demo.exo_bc import ModernApi

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
DEFAULT_MODELS: dict[Generation, tuple[str, ...]] = {
    "A": ("llama-3.2-1b",),
    "B": ("mlx-community/Llama-3.2-3B-Instruct-4bit",),
    "C": ("mlx-community/Llama-3.2-3B-Instruct-4bit",),
}


class ExoNode(Member):
    """A real HTTP server that behaves as an Exo node; start it with `async with`.

    `models` are those it serves from the start (of a `cluster` given, the cluster's own). The
    last disease of a B or C node rules its own answers; those that Exo shows in `/state` are
    seen on every node of the cluster. Other arguments: see DemoServer.
    """

    def __init__(
        self,
        generation: Generation = "C",
        models: tuple[str, ...] | None = None,
        *,
        cluster: ExoCluster | None = None,
        default_model: str | None = None,
        **server: Any,  # noqa: ANN401 - handed on to DemoServer, which names the types
    ) -> None:
        super().__init__(**server)
        served = DEFAULT_MODELS[generation] if models is None else models
        self.cluster = cluster or ExoCluster(generation, served)
        self.generation: Generation = self.cluster.generation
        self.default_model = default_model or next(iter(self.cluster.models), "llama-3.2-1b")
        self.node_id = str(uuid.uuid4())
        legacy = self.generation == "A"
        self.signature = "Python/3.12 aiohttp/3.10.11" if legacy else "hypercorn-h11"
        self.reason = None if legacy else ""
        self.ends_cleanly = self.generation == "C"

    def react(self, before: Disease) -> None:
        super().react(before)
        if self.disease.name == "re_election":
            self.cluster.elect(self.disease.seconds)
        elif before.name == "re_election" and self.alive:
            self.cluster.elected_until = 0.0
            self.cluster.restore()

    def well(self) -> bool:
        """Say whether it runs, and every runner of its cluster is ready and idle."""
        instances = self.cluster.standing()
        return self.alive and all(self.cluster.status(one)[0] == "RunnerReady" for one in instances)

    def routes(self) -> list[web.RouteDef]:
        if self.generation == "A":
            return LegacyApi(self, self.default_model).routes()
        return ModernApi(self).routes()

    async def start(self) -> None:
        await super().start()
        former = self.node_id
        self.node_id = _new_id(self.generation) or former
        self.cluster.join(self, former)

    def drop(self) -> None:
        was_alive = self.alive
        super().drop()
        if was_alive:
            self.cluster.leave(self)


def _new_id(generation: Generation) -> str:
    """Return the id of a fresh start; A keeps the one it has on disk."""
    if generation == "A":
        return ""
    if generation == "B":
        return "12D3KooW" + "".join(secrets.choice(BASE58) for _ in range(44))
    return format(secrets.randbits(128) | 1, "x")
