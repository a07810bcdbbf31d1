"""The HTTP API of Exo's generations B (v1.0.71) and C."""

import uuid
from typing import Any, cast

import anyio
import msgspec
from aiohttp import web

from exo_supervisor.demo import refusals
from exo_supervisor.demo.answers import Chat, JsonObject, wish
from exo_supervisor.demo.cards import SHELF_IDS, card, listed
from exo_supervisor.demo.chunks_bc import answer
from exo_supervisor.demo.cluster import Instance, Member
from exo_supervisor.demo.diseases import HEALTHY, Disease
from exo_supervisor.demo.killers import ends_the_process, killing
from exo_supervisor.demo.server import Stream
from exo_supervisor.demo.state import instance as spelled
from exo_supervisor.demo.state import state
from exo_supervisor.demo.validation import (
    InvalidBodyError,
    check_chat,
    check_placement,
    decoded,
)

EXO_TOKEN_CAP = 32_168


class ModernApi:
    """The routes of one node of B or C; the two differ in nulls and in what C adds."""

    def __init__(self, node: Member) -> None:
        self.node = node
        self.cluster = node.cluster
        self.newer = self.cluster.generation == "C"

    def routes(self) -> list[web.RouteDef]:
        newer = [web.get("/v1/feature-flags", self.feature_flags, allow_head=False)]
        return [
            web.get("/node_id", self.node_id, allow_head=False),
            web.get("/state", self.state, allow_head=False),
            web.get("/state/{path:.+}", self.state_path, allow_head=False),
            web.get("/v1/models", self.models, allow_head=False),
            web.get("/models", self.models, allow_head=False),
            web.get("/ollama/api/ps", self.ollama_ps, allow_head=False),
            web.post("/v1/chat/completions", self.chat),
            web.post("/v1/cancel/{command}", self.cancel),
            web.get("/instance/previews", self.previews, allow_head=False),
            web.get("/instance/{id}", self.instance, allow_head=False),
            web.delete("/instance/{id}", self.delete_instance),
            web.post("/instance", self.create_instance),
            web.post("/place_instance", self.place_instance),
            *(newer if self.newer else []),
            web.route("*", "/{rest:.*}", self.unknown),
        ]

    async def node_id(self, _: web.Request) -> web.Response:
        return said(self.node.node_id)

    async def feature_flags(self, _: web.Request) -> web.Response:
        return said({"disaggregation": False})

    async def unknown(self, request: web.Request) -> web.Response:
        if request.method in {"GET", "HEAD"}:
            return said({"detail": "Not Found"}, 404)
        return said({"detail": "Method Not Allowed"}, 405)

    async def state(self, _: web.Request) -> web.Response:
        return said(state(self.cluster, self.node))

    async def state_path(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        value: Any = state(self.cluster, self.node)
        for key in path.split("/"):
            level = cast("JsonObject", value) if isinstance(value, dict) else {}
            if key not in level:
                return missing(f"unable to find path '{path}' in state json")
            value = level[key]
        return said(value)

    async def models(self, _: web.Request) -> web.Response:
        known = dict.fromkeys((*SHELF_IDS, *self.cluster.models))
        data = [listed(model, self.cluster.generation) for model in known]
        return said({"object": "list", "data": data})

    async def ollama_ps(self, _: web.Request) -> web.Response:
        empty = dict.fromkeys(("digest", "details", "expires_at", "size_vram"))
        shown = [one.model for one in self.cluster.standing()]
        return said({"models": [{"name": m, "model": m, "size": 0, **empty} for m in shown]})

    async def previews(self, request: web.Request) -> web.Response:
        model = request.query.get("model_id", "")
        if self.node.illness.name == "hub_lookup":
            with anyio.move_on_after(self.node.illness.seconds):
                await self.node.until(lambda: self.node.illness.name != "hub_lookup")
        one = Instance(model, {self.node.node_id: str(uuid.uuid4())}, 0.0)
        memory = card(model, self.cluster.generation)["storageSize"]["inBytes"]
        fits = {
            "model_id": model,
            "sharding": "Pipeline",
            "instance_meta": "MlxRing",
            "instance": spelled(one, self.cluster.generation),
            "memory_delta_by_node": {self.node.node_id: memory},
            "error": None,
        }
        unfit = {
            **fits,
            "instance_meta": "MlxJaccl",
            "instance": None,
            "memory_delta_by_node": None,
            "error": f"No cycle where every node supports a backend in ['MlxMetal'] for {model}",
        }
        return said({"previews": [fits, unfit]})

    async def instance(self, request: web.Request) -> web.Response:
        one = self.cluster.instances.get(request.match_info["id"])
        if one is None:
            return missing("Instance not found")
        return said(spelled(one, self.cluster.generation))

    async def delete_instance(self, request: web.Request) -> web.Response:
        await self._election()
        known = request.match_info["id"]
        if known not in self.cluster.instances:
            return missing("Instance not found")
        self.cluster.remove(known)
        return said({**_received(), "instance_id": known})

    async def create_instance(self, request: web.Request) -> web.Response:
        try:
            body = decoded(await request.read(), request.content_type)
            wanted: JsonObject = body["instance"]["MlxRingInstance"]
            model, known = str(wanted["shardAssignments"]["modelId"]), wanted.get("instanceId")
        except InvalidBodyError as error:
            return said({"detail": [error.problem]}, 422)
        except (KeyError, TypeError):
            return said({"detail": [{"type": "missing", "loc": ["body", "instance"]}]}, 422)
        return await self._place(model, None if known is None else str(known))

    async def place_instance(self, request: web.Request) -> web.Response:
        try:
            body = decoded(await request.read(), request.content_type)
            check_placement(body)
        except InvalidBodyError as error:
            return said({"detail": [error.problem]}, 422)
        model = str(body["model_id"])
        if model not in (*SHELF_IDS, *self.cluster.models):
            return web.Response(
                text="Internal Server Error", content_type="text/plain", status=500, reason=""
            )
        if body.get("min_nodes", 1) > len(self.cluster.listed):
            return said({**_received(), "model_card": card(model, self.cluster.generation)})
        return await self._place(model)

    async def _place(self, model: str, instance_id: str | None = None) -> web.Response:
        await self._election()
        self.cluster.order(model, instance_id)
        return said({**_received(), "model_card": card(model, self.cluster.generation)})

    async def cancel(self, request: web.Request) -> web.Response:
        self.node.cancel_calls += 1
        command = request.match_info["command"]
        stream = self.node.streams.get(command)
        if stream is None:
            return missing("Command not found or already completed")
        self.cluster.cancel_by_name(command, self.node.pace * self._rest_of(command))
        stream.turn("ends")
        return said({"message": "Command cancelled.", "command_id": command})

    def _rest_of(self, command: str) -> int:
        """Return the tokens that a request may still cost; without a limit, Exo's own cap."""
        task = self.cluster.tasks.get(command)
        limit = None if task is None else task.body.get("max_tokens")
        return limit if isinstance(limit, int) and limit > 0 else EXO_TOKEN_CAP

    async def _election(self) -> bool:
        """Wait while a master is elected; tell if there was a wait."""
        left = self.cluster.elected_until - anyio.current_time()
        await anyio.sleep(max(0.0, left))
        return left > 0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = decoded(await request.read(), request.content_type)
            check_chat(body)
            chat = msgspec.convert(body, Chat, strict=False)
        except InvalidBodyError as error:
            return said({"detail": [error.problem]}, 422)
        except msgspec.ValidationError as error:
            return said(
                {"detail": [{"type": "value_error", "loc": ["body"], "msg": str(error)}]}, 422
            )
        self.node.note(request, body)
        if ends_the_process(body):
            self.node.drop()
            raise ConnectionResetError
        ill = self.node.illness
        refusal = refusals.refusal(ill, reason="", spell=_error)
        if refusal is not None:
            return refusal
        forgotten = await self._election()
        model = str(chat.model)
        one = self.cluster.serving(model)
        if one is not None and one not in self.cluster.shown_by(self.node):
            one = None
        if one is None and not forgotten:
            return missing(f"No instance found for model {model}")
        return await self._answer(request, body, chat, one, ill)

    async def _answer(
        self,
        request: web.Request,
        body: JsonObject,
        chat: Chat,
        one: Instance | None,
        ill: Disease,
    ) -> web.StreamResponse:
        command = str(uuid.uuid4())
        stream = Stream(command)
        if one is None:
            stream.turn("forgotten")
        ill, fails = self._crash(body, one, ill)
        wanted = wish(
            chat,
            id_=command,
            model="somebody/else" if ill.name == "wrong_model" else str(chat.model),
            count=self.node.tokens,
            ill=ill,
        )
        reply = answer(wanted, nulls=not self.newer, fails=fails)
        if one is not None:
            self.cluster.begin(command, one, body)
        cancelled = True
        try:
            response = await self.node.perform(request, reply, stream, ill, str(chat.model))
            cancelled = stream.fate == "ends"
        finally:
            self.cluster.settle(command, cancelled=cancelled)
        return response

    def _crash(
        self, body: JsonObject, one: Instance | None, ill: Disease
    ) -> tuple[Disease, str | None]:
        """Let a request that kills the runner do so, and one for a model that loads wait."""
        if one is None or ill.name not in {HEALTHY.name, "hub_lookup"}:
            return ill, None
        why = killing(body)
        if why is not None:
            self.cluster.crash(one)
            return Disease("error_event"), why
        return (Disease("loading") if self.cluster.loading(one.model) else ill), None


def said(value: object, status: int = 200) -> web.Response:
    """Answer with compact JSON, as FastAPI over hypercorn does."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, reason="", content_type="application/json"
    )


def missing(message: str) -> web.Response:
    """Answer 404 in Exo's own shape."""
    return said(_error(404, message, "Not Found"), 404)


def _error(status: int, message: str, kind: str = "Error") -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def _received() -> JsonObject:
    return {"message": "Command received.", "command_id": str(uuid.uuid4())}
