"""The HTTP API of Exo's generation A (v0.0.15-alpha)."""

import asyncio
import json
import time
import uuid
from typing import Any

import msgspec
from aiohttp import web

from exo_supervisor.demo import refusals
from exo_supervisor.demo.answers import Answer, Chat, JsonObject, Wish, wish
from exo_supervisor.demo.cards import LEGACY_IDS
from exo_supervisor.demo.cluster import Member
from exo_supervisor.demo.server import Stream
from exo_supervisor.demo.state import topology_a

END_OF_TEXT = "<|eot_id|>"
QUIT_SECONDS = 0.05


class LegacyApi:
    """The routes of one node of A; any model it cannot find becomes its default model."""

    def __init__(self, node: Member, default_model: str) -> None:
        self.node = node
        self.cluster = node.cluster
        self.default_model = default_model

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthcheck", self.healthcheck),
            web.get("/v1/topology", self.topology),
            web.get("/topology", self.topology),
            web.get("/v1/models", self.models),
            web.get("/models", self.models),
            web.get("/initial_models", self.initial_models),
            web.get("/v1/download/progress", self.download_progress),
            web.post("/v1/chat/completions", self.chat),
            web.post("/chat/completions", self.chat),
            web.post("/quit", self.quit),
            web.route("*", "/{rest:.*}", self.unknown),
        ]

    async def healthcheck(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def topology(self, _: web.Request) -> web.Response:
        return web.json_response(topology_a(self.cluster))

    async def models(self, _: web.Request) -> web.Response:
        known = dict.fromkeys((*LEGACY_IDS, *self.cluster.models))
        data = [{"id": m, "object": "model", "owned_by": "exo", "ready": True} for m in known]
        return web.json_response({"object": "list", "data": data})

    async def initial_models(self, _: web.Request) -> web.Response:
        unknown = dict.fromkeys(("downloaded", "download_percentage", "total_size"))
        return web.json_response(
            {
                model: {"name": model, **unknown, "total_downloaded": None, "loading": True}
                for model in self.cluster.models
            }
        )

    async def download_progress(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def quit(self, _: web.Request) -> web.Response:
        asyncio.get_running_loop().call_later(QUIT_SECONDS, self.node.drop)
        return web.json_response({"detail": "Quit signal received"})

    async def unknown(self, request: web.Request) -> web.StreamResponse:
        if request.method in {"GET", "HEAD"}:
            return web.StreamResponse(status=404)
        return web.Response(
            text="405: Method Not Allowed", status=405, headers={"Allow": "GET,HEAD"}
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = self._body(await request.read())
        if body is None:
            return web.Response(
                text="500 Internal Server Error\n\nServer got itself in trouble", status=500
            )
        self.node.note(request, body)
        ill = self.node.illness
        refusal = refusals.refusal(ill, reason=None, spell=lambda _, message: {"detail": message})
        if refusal is not None:
            return refusal
        model = self._known(str(body.get("model") or self.default_model))
        if model not in self.cluster.models or ill.name == "instance_gone":
            return self._unsupported(model)
        stream = Stream(f"chatcmpl-{uuid.uuid4()}")
        wanted = wish(
            Chat(messages=body["messages"], stream=bool(body.get("stream"))),
            id_=stream.id,
            model="llama-3-8b" if ill.name == "wrong_model" else model,
            count=self.node.tokens,
            prefills=False,
            ill=msgspec.structs.replace(ill, size=ill.size // 2),  # each text stands there twice
        )
        return await self.node.perform(request, answer(wanted), stream, ill, model)

    def _known(self, model: str) -> str:
        known = model in (*LEGACY_IDS, *self.cluster.models) and not model.startswith("gpt-")
        return model if known else self.default_model

    def _unsupported(self, model: str) -> web.Response:
        words = (
            f"Unsupported model: {model} with inference engine DummyInferenceEngine. "
            f"Supported models for this engine: {list(self.cluster.models)}"
        )
        return web.json_response({"detail": words}, status=400)

    @staticmethod
    def _body(data: bytes) -> JsonObject | None:
        """Return the request, or None where A's own code would raise."""
        try:
            body: Any = msgspec.json.decode(data)
            messages: list[JsonObject] = msgspec.convert(body["messages"], list[JsonObject])
            sound = all("content" in message and "role" in message for message in messages)
            model = body.get("model")
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, TypeError, KeyError):
            return None
        return body if sound and (model is None or isinstance(model, str)) else None


def answer(wish: Wish) -> Answer:
    """Return A's answer: `message` beside `delta`, the end token in the text, no `[DONE]`."""
    head: JsonObject = {
        "id": wish.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": wish.model,
        "system_fingerprint": "exo_0.0.1",
    }
    tokens = (*wish.tokens, END_OF_TEXT)

    def say(text: str, finish: str | None, *, streamed: bool) -> JsonObject:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice | ({"delta": message} if streamed else {})]}

    def event(token: str, finish: str | None) -> bytes:
        return b"data: " + json.dumps(say(token, finish, streamed=True)).encode() + b"\n\n"

    def whole(count: int, finish: str | None) -> bytes:
        value = say("".join(tokens[:count]), finish, streamed=False)
        return json.dumps(value | ({"usage": wish.usage_of(count)} if wish.billed else {})).encode()

    last = len(tokens) - 1
    detail = "Error processing prompt (see logs with DEBUG>=2): demo"
    return Answer(
        stream=wish.stream,
        early=False,
        content_type="text/event-stream" if wish.stream else "application/json; charset=utf-8",
        events=tuple(
            event(token, "stop" if at == last else None) for at, token in enumerate(tokens)
        ),
        open_end=event(tokens[-1], None),
        closing=(),
        failure=(),
        whole=whole(len(tokens), "stop"),
        partial=lambda count: whole(count, None),
        failed_whole=(500, json.dumps({"detail": detail}).encode()),
    )
