"""An Anthropic-style provider."""

import uuid
from typing import Any, Final, cast

import msgspec
from aiohttp import web

from exo_supervisor.demo import refusals
from exo_supervisor.demo.answers import Answer, Chat, JsonObject, Wish, compact, wish
from exo_supervisor.demo.cloud import Cloud
from exo_supervisor.demo.diseases import Breach
from exo_supervisor.demo.server import Stream

VERSIONS: Final = frozenset({"2023-06-01", "2026-10-21"})
_ROLES: Final = frozenset({"user", "assistant", "system"})
_FIELDS: Final = frozenset(
    {"model", "messages", "max_tokens", "metadata", "stop_sequences", "stream", "system",
     "temperature", "top_k", "top_p", "tools", "tool_choice", "thinking", "output_config",
     "cache_control", "context_management", "service_tier"}
)  # fmt: skip
_UNTHINKING: Final[JsonObject] = {"type": "disabled"}
Blocks = list[tuple[JsonObject, list[JsonObject]]]
_PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'


class MessagesCloud(Cloud):
    """A real HTTP server that behaves as Anthropic's API does; start it with `async with`.

    Its `base_url` is without the version, as Anthropic's SDK takes it. Fields that Messages does
    not know are refused by their name.
    """

    signature = "demo-messages-cloud"

    @property
    def base_url(self) -> str:
        return self.url

    @property
    def seen(self) -> int:
        """How many requests arrived, with a right key or not."""
        return self.requests["/v1/messages"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self.list_models),
            web.post("/v1/messages", self.chat),
            web.route("*", "/{rest:.*}", self.unknown),
        ]

    async def unknown(self, request: web.Request) -> web.Response:
        return said(404, "not_found_error", f"{request.method} {request.path}")

    async def list_models(self, request: web.Request) -> web.Response:
        if (refusal := self._not_let_in(request)) is not None:
            return refusal
        data = [{"type": "model", "id": name, "display_name": name} for name in self.models]
        return web.json_response({"data": data, "has_more": False})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._not_let_in(request)) is not None:
            return refusal
        body: JsonObject = msgspec.json.decode(await request.read(), type=dict[str, Any])
        self.note(request, body)
        if (words := _wrong(body)) is not None:
            return said(400, "invalid_request_error", words)
        ill = self.disease
        refused = refusals.refusal(ill, reason=None, spell=_error)
        if refused is not None:
            return refused
        model = body["model"]
        if model not in self.models or ill.name == "instance_gone":
            return said(404, "not_found_error", f"model: {model}")
        stream = Stream(f"msg_{uuid.uuid4().hex}")
        wanted = wish(
            _chat(body),
            id_=stream.id,
            model="somebody-else" if ill.name == "wrong_model" else model,
            count=self.tokens,
            ill=ill,
            prefills=self.prefills,
        )
        return await self.perform(request, answer(wanted), stream, ill, model)

    def _not_let_in(self, request: web.Request) -> web.Response | None:
        if self.key is not None and request.headers.get("x-api-key") != self.key:
            return said(401, "authentication_error", "invalid x-api-key")
        if request.headers.get("anthropic-version") not in VERSIONS:
            return said(400, "invalid_request_error", "anthropic-version: header is required")
        return None


def _wrong(body: JsonObject) -> str | None:
    """Word what Anthropic refuses of a request, None where nothing is wrong."""
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            return f"{name}: Field required"
    for name in body:
        if name not in _FIELDS:
            return f"{name}: Extra inputs are not permitted"
    for at, message in enumerate(body["messages"]):
        if message.get("role") not in _ROLES:
            return f"messages.{at}: unexpected role"
        if any(block.get("type") == "text" and not block["text"] for block in _parts(message)):
            return f"messages.{at}: text content blocks must be non-empty"
    return None


def _error(status: int, message: str) -> JsonObject:
    kinds = {401: "authentication_error", 402: "billing_error", 403: "permission_error",
             404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip
    other = "api_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's 5xx
    error = {"type": kinds.get(status, other), "message": message}
    return {"type": "error", "error": error, "request_id": f"req_{uuid.uuid4().hex}"}


def said(status: int, kind: str, message: str) -> web.Response:
    """Answer with an error as Anthropic spells it."""
    body = _error(status, message)
    body["error"]["type"] = kind
    return web.json_response(body, status=status, headers={"request-id": body["request_id"]})


def _chat(body: JsonObject) -> Chat:
    """Say what a request asks for in the words that all answers of the demo are made of."""
    messages = [_message(message) for message in body["messages"]]
    tools = [{"function": {"name": tool["name"]}} for tool in body.get("tools") or ()]
    return Chat(
        model=body["model"],
        messages=messages,
        stream=body.get("stream"),
        max_tokens=body["max_tokens"],
        stop=body.get("stop_sequences"),
        tools=tools,
        enable_thinking=body.get("thinking", _UNTHINKING).get("type") in {"enabled", "adaptive"},
    )


def _message(message: JsonObject) -> JsonObject:
    blocks = _parts(message)
    role = "tool" if any(block["type"] == "tool_result" for block in blocks) else message["role"]
    texts = [block.get("text", "") for block in blocks] or [message["content"]]
    return {"role": role, "content": "".join(map(str, texts))}


def _parts(message: JsonObject) -> list[JsonObject]:
    content = message["content"]
    return cast("list[JsonObject]", content) if isinstance(content, list) else []


def answer(wish: Wish) -> Answer:
    """Return the answer: thoughts first, then its text or a call, with its usage at both ends."""
    usage = {"input_tokens": wish.prompt_tokens, "output_tokens": 1, "cache_read_input_tokens": 0}
    usage = usage if wish.billed else {}
    message: JsonObject = {
        "id": wish.id, "type": "message", "role": "assistant", "model": wish.model, "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    reasons = {"stop": "end_turn", "length": "max_tokens"}
    reason = "tool_use" if wish.tool else reasons[wish.finish]
    blocks = _blocks(wish)
    total = {"output_tokens": len(wish.tokens)} if wish.billed else {}
    stop = _event("content_block_stop", index=len(blocks) - 1)
    ended = {"stop_reason": reason, "stop_sequence": None}
    finish = _event("message_delta", delta=ended, usage=total)
    failed = compact(_error(500, "Internal server error"))
    begun = {**message, "content": [_whole(start, some) for start, some in blocks]}
    return Answer(
        stream=wish.stream,
        early=wish.stream,
        content_type="text/event-stream" if wish.stream else "application/json",
        opening=(_event("message_start", message=message), _PING),
        events=(*_deltas(blocks), stop + finish),
        open_end=stop,
        closing=(_event("message_stop"),),
        failure=(b"event: error\ndata: " + failed + b"\n\n",),
        broken=b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n',
        breaches=_breaches(len(blocks), message, finish),
        keepalive=_PING,
        whole=compact({**begun, "stop_reason": reason, "usage": usage | total}),
        partial=lambda _: compact(begun),
        failed_whole=(200, failed),
    )


def _breaches(blocks: int, message: JsonObject, finish: bytes) -> dict[Breach, bytes]:
    """Return events that may not stand in the middle of the last block."""
    text = {"type": "text", "text": ""}
    return {
        "second_start": _event("message_start", message=message),
        "other_block": _delta(blocks, {"type": "text_delta", "text": "x"}),
        "nested_block": _event("content_block_start", index=1, content_block=text),
        "open_block": finish,
        "no_reason": _event("message_stop"),
    }


def _deltas(blocks: Blocks) -> list[bytes]:
    """Return the events of all blocks; a start goes out with its first delta."""
    deltas = [_delta(index, delta) for index, (_, some) in enumerate(blocks) for delta in some]
    for index, (start, some) in enumerate(blocks):
        at = sum(len(before) for _, before in blocks[:index])
        begun = _event("content_block_start", index=index, content_block=start)
        deltas[at] = begun + deltas[at]
        if index + 1 < len(blocks):
            deltas[at + len(some) - 1] += _event("content_block_stop", index=index)
    return deltas


def _blocks(wish: Wish) -> Blocks:
    """Return each block's start, and what is added to it."""
    found: Blocks = []
    thoughts = [
        {"type": "thinking_delta", "thinking": word} for word in wish.tokens[: wish.thoughts]
    ]
    if thoughts:
        signed = {"type": "signature_delta", "signature": "c2lnbmVk"}
        start = {"type": "thinking", "thinking": "", "signature": ""}
        found.append((start, [*thoughts, signed]))
    if wish.tool:
        use: JsonObject = {
            "type": "tool_use",
            "id": f"toolu_{wish.id[-8:]}",
            "name": wish.tool,
            "input": {},
        }
        parts = ("", '{"city"', ': "Paris"}')
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        return [*found, (use, deltas)]
    words = [{"type": "text_delta", "text": word} for word in wish.tokens[wish.thoughts :]]
    return [*found, ({"type": "text", "text": ""}, words)]


def _whole(start: JsonObject, deltas: list[JsonObject]) -> JsonObject:
    block = dict(start)
    for delta in deltas:
        for name, value in delta.items():
            if name == "partial_json":
                block["input"] = {"city": "Paris"}
            elif name != "type":
                block[name] += value
    return block


def _delta(index: int, delta: JsonObject) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _event(kind: str, **more: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind, **more}))
