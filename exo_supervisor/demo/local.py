"""A provider of the house, as vLLM or llama.cpp are: it embeds and completes, too."""

import struct
import uuid
from base64 import b64encode
from dataclasses import replace
from typing import Any, Literal

import msgspec
from aiohttp import web

from exo_supervisor.demo import refusals
from exo_supervisor.demo.answers import Answer, Chat, JsonObject, Wish, compact, event, wish
from exo_supervisor.demo.cloud import FAILED, Cloud, answer, said, spelled
from exo_supervisor.demo.course import DONE
from exo_supervisor.demo.play import Stream

DIMENSIONS = 8
Texts = str | list[str | int | list[int]]


class _Embeddings(msgspec.Struct):
    model: str
    input: Texts
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"


class _Completions(msgspec.Struct):
    model: str
    prompt: Texts
    stream: bool | None = False
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int = 1
    stream_options: JsonObject | None = None


def texts_in(told: Texts) -> list[object]:
    """Return the texts of a request, each as a string or as its tokens."""
    if isinstance(told, str) or isinstance(told[0], int):
        return [told]
    return list(told)


def vector_of(text: object, length: int = DIMENSIONS) -> list[float]:
    """Return a vector that depends on its text alone; each number is one of float32, too."""
    seed = len(str(text))
    return [((seed + place) % 17 - 8) / 16 for place in range(length)]


class Local(Cloud):
    """A cloud that also serves embeddings and completions.

    With `forms=False` it knows no other form of a vector than numbers, and with `lengths=False` no
    other length than its own, whatever it is asked for: Ollama and llama.cpp are so.
    """

    signature = "demo-local"

    def __init__(
        self,
        key: str | None = None,
        models: tuple[str, ...] = ("embed-demo",),
        *,
        forms: bool = True,
        lengths: bool = True,
        **server: Any,  # noqa: ANN401 - handed on to DemoServer, which names the types
    ) -> None:
        super().__init__(key, models, **server)
        self.forms, self.lengths = forms, lengths

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/embeddings", self.embeddings),
            web.post("/v1/completions", self.completions),
            *super().routes(),
        ]

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await self._taken(request, _Embeddings)
        if isinstance(body, web.Response):
            return body
        length = (body.dimensions if self.lengths else None) or DIMENSIONS
        base64 = self.forms and body.encoding_format == "base64"
        vectors = [vector_of(text, length) for text in texts_in(body.input)]
        stream = Stream(f"embd-{uuid.uuid4().hex}")
        return await self.perform(
            request, _vectors(body.model, vectors, base64=base64), stream, self.disease, body.model
        )

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await self._taken(request, _Completions)
        if isinstance(body, web.Response):
            return body
        chat = Chat(
            model=body.model,
            stream=body.stream,
            max_tokens=body.max_tokens,
            stop=body.stop,
            stream_options=body.stream_options,
        )
        stream = Stream(f"cmpl-{uuid.uuid4().hex}")
        wanted = wish(chat, id_=stream.id, model=body.model, count=self.tokens, ill=self.disease)
        told = _texts(wanted, len(texts_in(body.prompt)) * body.n)
        return await self.perform(request, told, stream, self.disease, body.model)

    async def _taken(self, request: web.Request, kind: type[Any]) -> Any:  # noqa: ANN401 - of kind
        """Return the body of a request, or what refuses it."""
        refusal = self.stranger(request)
        if refusal is not None:
            return refusal
        try:
            body: JsonObject = msgspec.json.decode(await request.read(), type=dict[str, Any])
            told = msgspec.convert(body, kind)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return said(400, "We could not parse the JSON body of your request", code=None)
        self.note(request, body)
        refusal = refusals.refusal(self.disease, reason=None, spell=spelled)
        if refusal is None and told.model not in self.models:
            words = f"The model `{told.model}` does not exist or you do not have access to it."
            refusal = said(404, words, code="model_not_found")
        return told if refusal is None else refusal


def _vectors(model: str, vectors: list[list[float]], *, base64: bool) -> Answer:
    """Return an answer of embeddings, which is never a stream."""

    def whole(count: int) -> bytes:
        data = [
            {"object": "embedding", "index": index, "embedding": _written(vector, base64=base64)}
            for index, vector in enumerate(vectors[:count])
        ]
        usage = {"prompt_tokens": 4 * len(vectors), "total_tokens": 4 * len(vectors)}
        return compact({"object": "list", "data": data, "model": model, "usage": usage})

    return Answer(
        stream=False,
        early=False,
        content_type="application/json",
        events=(b"",) * len(vectors),
        open_end=b"",
        closing=(),
        failure=(),
        whole=whole(len(vectors)),
        partial=whole,
        failed_whole=(200, compact(FAILED)),
    )


def _written(vector: list[float], *, base64: bool) -> object:
    packed = struct.pack(f"<{len(vector)}f", *vector)
    return b64encode(packed).decode() if base64 else vector


def _texts(wanted: Wish, choices: int) -> Answer:
    """Return an answer of completions: what a chat's would be, in other words."""
    base = {"id": wanted.id, "object": "text_completion", "created": 1, "model": wanted.model}

    def choice(index: int, text: str, finish: str | None) -> JsonObject:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}

    def chunk(text: str, finish: str | None = None) -> bytes:
        told = [choice(index, text, finish) for index in range(choices)]
        return event({**base, "choices": told})

    def whole(count: int, finish: str | None) -> bytes:
        told = [choice(index, "".join(wanted.tokens[:count]), finish) for index in range(choices)]
        return compact({**base, "choices": told, "usage": usage})

    def unfinished(count: int) -> bytes:
        return whole(count, None)

    count = len(wanted.tokens)
    usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
    last = event({**base, "choices": [], "usage": usage})
    plain = answer(wanted)
    return replace(
        plain,
        opening=(),
        events=(*(chunk(token) for token in wanted.tokens), chunk("", wanted.finish)),
        open_end=chunk(""),
        closing=(*([last] if wanted.usage else []), DONE),
        whole=whole(len(wanted.tokens), wanted.finish),
        partial=unfinished,
    )
