"""An OpenAI-style provider."""

import time
import uuid
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from exo_supervisor.demo import refusals
from exo_supervisor.demo.answers import Answer, Chat, JsonObject, Wish, compact, event, wish
from exo_supervisor.demo.course import DONE
from exo_supervisor.demo.server import DemoServer, Stream

KEEPALIVE = b": OPENROUTER PROCESSING\n\n"
"""The comment with which OpenRouter keeps a waiting stream awake."""


class Cloud(DemoServer):
    """A real HTTP server that behaves as an OpenAI-style cloud; start it with `async with`.

    With a `key`, requests need it as bearer token. Models that are not in `models` get a 404.
    `refuses` are keys that get a status and words instead of an answer to a chat.
    Other arguments: see DemoServer.
    """

    signature = "demo-cloud"

    def __init__(
        self,
        key: str | None = None,
        models: tuple[str, ...] = ("gpt-demo", "gpt-demo-mini"),
        *,
        prefills: bool = True,
        **server: Any,  # noqa: ANN401 - handed on to DemoServer, which names the types
    ) -> None:
        super().__init__(**server)
        self.key, self.models, self.prefills = key, models, prefills
        self.refuses: dict[str, tuple[int, str]] = {}
        self.pricing: JsonObject = {}
        """What its list says that each model costs, as OpenRouter writes it."""
        self.tells: JsonObject = {}
        """What its usage tells in the place of what was used, or beside it."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def seen(self) -> int:
        """How many chat requests arrived, with a right key or not."""
        return self.requests["/v1/chat/completions"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self.list_models),
            web.post("/v1/chat/completions", self.chat),
            web.route("*", "/{rest:.*}", self.unknown),
        ]

    async def unknown(self, request: web.Request) -> web.Response:
        return said(404, f"Invalid URL ({request.method} {request.path})", code=None)

    async def list_models(self, request: web.Request) -> web.Response:
        refusal = self.stranger(request)
        if refusal is not None:
            return refusal
        data = [
            {"id": model, "object": "model", "created": 1795410301, "owned_by": "demo"}
            | ({"pricing": self.pricing[model]} if model in self.pricing else {})
            for model in self.models
        ]
        return web.json_response({"object": "list", "data": data})

    def stranger(self, request: web.Request) -> web.Response | None:
        if self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        return said(401, "Incorrect API key provided", code="invalid_api_key")

    async def chat(self, request: web.Request) -> web.StreamResponse:
        refusal = self.stranger(request)
        if refusal is not None:
            return refusal
        refused = self.refuses.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if refused is not None:
            return said(*refused, code=None)
        try:
            body: JsonObject = msgspec.json.decode(await request.read(), type=dict[str, Any])
            chat = msgspec.convert(body, Chat)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return said(400, "We could not parse the JSON body of your request", code=None)
        self.note(request, body)
        ill = self.disease
        refusal = refusals.refusal(ill, reason=None, spell=spelled)
        if refusal is not None:
            refusal.headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
            return refusal
        words = refusals.not_taken(ill, body)
        if words is not None:
            return said(400, words, code="unsupported_value")
        if chat.model not in self.models or ill.name == "instance_gone":
            words = f"The model `{chat.model}` does not exist or you do not have access to it."
            return said(404, words, code="model_not_found")
        chat.max_tokens = body.get("max_completion_tokens", chat.max_tokens)
        stream = Stream(f"chatcmpl-{uuid.uuid4().hex}")
        wanted = wish(
            chat,
            id_=stream.id,
            model="somebody/else" if ill.name == "wrong_model" else chat.model,
            count=self.tokens,
            ill=ill,
            prefills=self.prefills,
        )
        told = answer(replace(wanted, tells=self.tells))
        return await self.perform(request, told, stream, ill, chat.model)


def spelled(
    status: int, message: str, kind: str = "invalid_request_error", code: str | None = None
) -> JsonObject:
    """Spell an error as OpenAI does."""
    kinds = {402: "insufficient_quota", 429: "rate_limit_error", 529: "overloaded_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else kind)  # noqa: PLR2004 - HTTP's 5xx
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


FAILED = spelled(500, "The server had an error while processing your request")


def said(status: int, message: str, *, code: str | None) -> web.Response:
    """Answer with an error as OpenAI spells it."""
    headers = {"x-request-id": f"req_{uuid.uuid4().hex}"}
    return web.json_response(spelled(status, message, code=code), status=status, headers=headers)


def answer(wish: Wish) -> Answer:
    """Return a cloud's answer: a role first, `[DONE]` last, usage in a chunk of its own."""
    base = {"id": wish.id, "created": int(time.time()), "model": wish.model}
    part: JsonObject = {**base, "object": "chat.completion.chunk"}

    def chunk(delta: JsonObject, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        value = {**part, "choices": [choice]}
        return event(value | ({"usage": None} if wish.usage else {}))

    def whole(count: int, finish: str | None) -> bytes:
        message = {"role": "assistant", "content": "".join(wish.tokens[:count]), "refusal": None}
        if wish.tool:
            message |= {"content": None, "tool_calls": [_call(wish)]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        value = {**base, "object": "chat.completion", "choices": [choice]}
        return compact(value | ({"usage": _usage(wish)} if wish.billed else {}))

    usage: JsonObject = {**part, "choices": [], "usage": _usage(wish)}
    contents = [{"content": token} for token in wish.tokens]
    deltas = [{"tool_calls": [call]} for call in _call_parts(wish)] if wish.tool else contents
    finish = "tool_calls" if wish.tool else wish.finish
    return Answer(
        stream=wish.stream,
        early=wish.stream,
        content_type="text/event-stream" if wish.stream else "application/json",
        opening=(chunk({"role": "assistant", "content": "", "refusal": None}),),
        events=(*(chunk(delta) for delta in deltas), chunk({}, finish)),
        open_end=chunk({}),
        closing=(*([event(usage)] if wish.usage else []), DONE),
        failure=(event(FAILED),),
        keepalive=KEEPALIVE,
        whole=whole(len(wish.tokens), finish),
        partial=lambda count: whole(count, None),
        failed_whole=(200, compact(FAILED)),
    )


def _call(wish: Wish) -> JsonObject:
    function = {"name": wish.tool, "arguments": '{"city": "Paris"}'}
    return {"id": f"call_{wish.id[-8:]}", "type": "function", "function": function}


def _call_parts(wish: Wish) -> list[JsonObject]:
    """Return a call as a stream brings it: the name first, the arguments in pieces."""
    call = _call(wish)
    start = {"name": wish.tool, "arguments": ""}
    pieces = ('{"city"', ': "Paris"}')
    return [
        {**call, "index": 0, "function": start},
        *({"index": 0, "function": {"arguments": piece}} for piece in pieces),
    ]


def _usage(wish: Wish) -> JsonObject:
    return {**wish.usage_of(len(wish.tokens)), **wish.tells}
