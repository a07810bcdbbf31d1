"""Requests of OpenAI's dialect that are no chats: embeddings, and the older completions.

Exo serves neither: what is asked for is a demand that only a target of this dialect honours.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from exo_supervisor.core.outcomes import BadRequestError, bad_request
from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.body import (
    check_model,
    check_stop,
    check_stop_size,
    missing,
    read_as,
    read_fields,
)
from exo_supervisor.wire.chat.request import ChatRequest, Fields, Kind

MAX_INPUTS: Final = 2_048
"""Texts of one request for embeddings, as at OpenAI."""

Token = Annotated[int, Meta(ge=0)]
Dimensions = Annotated[int, Meta(ge=1, le=65_536)]
Many = Annotated[int, Meta(ge=1, le=MAX_CHOICES)]


class _Embeddings(Struct):
    """The fields of a request for embeddings, in the only types that make sense for them."""

    model: str | None = None
    input: str | list[str | Token | list[Token]] | None = None
    dimensions: Dimensions | None = None
    encoding_format: str | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Completions(Struct):
    """The same of a request for completions."""

    model: str | None = None
    prompt: str | list[str | Token | list[Token]] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    stop: str | list[str] | None = None
    n: Many | None = None


_embeddings = msgspec.json.Decoder(_Embeddings)
_completions = msgspec.json.Decoder(_Completions)


def read_embeddings(body: bytes) -> ChatRequest:
    """Read the body of a request for embeddings; raises BadRequestError."""
    fields = read_fields(body)
    known = read_as(_embeddings, body)
    model, count = check_model(known.model), count_inputs(known.input, "input")
    if count > MAX_INPUTS:
        raise _too_many("input", f"{MAX_INPUTS} texts")
    if known.encoding_format not in {None, "float", "base64"}:
        text = "the field encoding_format is neither float nor base64"
        raise bad_request("wrong_type", text, "encoding_format")
    return embeddings(model, fields, count)


def embeddings(model: str, fields: Fields, count: int) -> ChatRequest:
    """Make a request for so many vectors."""
    return _asking("embeddings", model, fields, n=count)


def read_completions(body: bytes) -> ChatRequest:
    """Read the body of a request for completions; raises BadRequestError."""
    fields = read_fields(body)
    check_stop_size(fields)
    known = read_as(_completions, body)
    model = check_model(known.model)
    count = count_inputs(known.prompt, "prompt") * (known.n or 1)
    if count > MAX_CHOICES:
        raise _too_many("prompt", f"{MAX_CHOICES} answers")
    request = _asking("completions", model, fields, n=count)
    return msgspec.structs.replace(
        request,
        stream=bool(known.stream),
        include_usage=bool(known.stream_options and known.stream_options.include_usage),
        max_tokens=known.max_tokens,
        stop=check_stop(known.stop),
    )


def count_inputs(told: str | list[str | int | list[int]] | None, name: str) -> int:
    """Return how many texts there are: one, a list of them, or the tokens of either."""
    if told is None:
        raise missing(name)
    if isinstance(told, str):
        return 1
    kinds = {type(each) for each in told}
    if len(kinds) != 1:
        text = f"the list {name} has to hold something, and either texts, tokens or lists of tokens"
        raise bad_request("wrong_type", text, name)
    return 1 if kinds == {int} else len(told)


def _asking(kind: Kind, model: str, fields: Fields, *, n: int) -> ChatRequest:
    asked = frozenset({kind})
    return ChatRequest(
        model=model,
        stream=False,
        include_usage=False,
        demands=asked,
        native_demands=asked,
        hazards={},
        max_tokens=None,
        stop=(),
        n=n,
        fields=fields,
        kind=kind,
    )


def _too_many(name: str, most: str) -> BadRequestError:
    return bad_request("wrong_type", f"the field {name} asks for more than {most}", name)
