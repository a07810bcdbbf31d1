"""The client's side of the dialect: chats, prompts and texts to be embedded.

A request becomes one of OpenAI's shape. Fields that say how a model is run (`keep_alive`, `num_ctx`
and other options of that kind) mean nothing here and are passed over; what would change the answer
and cannot be said is refused by its name, or a demand that nobody honours.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from exo_supervisor.core.outcomes import bad_request
from exo_supervisor.wire.chat.body import (
    check_limit,
    check_messages,
    check_model,
    check_stop,
    read_as,
    read_fields,
    wrong,
)
from exo_supervisor.wire.chat.members import EMPTY, Members, MembersDecoder
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest, Fields
from exo_supervisor.wire.chat.translated import as_fields, translated
from exo_supervisor.wire.ollama.turns import Conversation, Message, Turn, with_images
from exo_supervisor.wire.openai.inputs import Dimensions, count_inputs, embeddings

_NAMES: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "repeat_penalty": "repetition_penalty",
    "repeat_last_n": "repetition_context_size",
}
"""Options, and how OpenAI's shape or Exo calls them."""
_RUN: Final = frozenset(
    {"num_ctx", "num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "numa", "low_vram",
     "vocab_only", "use_mmap", "use_mlock", "f16_kv", "logits_all", "num_predict", "stop"}
)  # fmt: skip
"""Options of how a model is run, which its target decides; and two that are read otherwise."""
_HARMLESS: Final = {
    "mirostat": b"0", "mirostat_eta": b"0.1", "mirostat_tau": b"5", "typical_p": b"1",
    "tfs_z": b"1", "penalize_newline": b"true",
}  # fmt: skip
"""Options of sampling that nobody else has, and the value that changes nothing."""
_REFUSED: Final = ("suffix", "template", "context", "raw")
_LET_GO: Final = frozenset({b"0", b"0.0", b'"0"', b'"0s"', b'"0m"', b'"0h"'})
_PLAIN_NAME = r"[a-z0-9_]{1,64}"


class _Options(Struct):
    num_predict: int | None = None
    stop: str | list[str] | None = None


class _Known(Members):
    """What both kinds of requests have.

    Harmless is how long a model is kept, how a prompt that is too long is to be cut, which is never
    done here, and of what `logprobs`, a demand, tells how many.
    """

    harmless = frozenset({"keep_alive", "shift", "top_logprobs", "truncate"})

    model: str | None = None
    stream: bool | None = None
    think: bool | str | None = None
    options: Raw = NULL
    format: Raw = NULL
    logprobs: Raw = NULL


class _Chat(_Known):
    messages: list[Turn] | None = None
    tools: list[Raw] | None = None


class _Generate(_Known):
    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None


class _Embed(Members):
    """A vector has no options but of how its model is run, and no text is cut for it."""

    harmless = frozenset({"keep_alive", "options", "truncate"})

    model: str | None = None
    input: str | list[str] | None = None
    prompt: str | None = None
    dimensions: Dimensions | None = None


_chat = MembersDecoder(msgspec.json.Decoder(_Chat))
_generate = MembersDecoder(msgspec.json.Decoder(_Generate))
_embed = MembersDecoder(msgspec.json.Decoder(_Embed))
_options = msgspec.json.Decoder(_Options)
_members: msgspec.json.Decoder[Fields | None] = msgspec.json.Decoder(Fields | None)


def read_chat(body: bytes, _headers: Mapping[str, str]) -> ChatRequest:
    """Read the body of /api/chat; raises BadRequestError, whose text holds none of it."""
    native = read_fields(body)
    known, unknown = _chat.read(body)
    if known.messages is not None and not known.messages:
        empty = {"message": {"role": "assistant", "content": ""}}
        return _preload(_asking(body, native, known, unknown, [], {}), empty)
    talk = Conversation()
    for at, turn in enumerate(check_messages(known.messages)):
        talk.add(turn, at)
    tools: dict[str, object] = {"tools": known.tools} if known.tools else {}
    return _asking(body, native, known, unknown, talk.messages, tools)


def read_generate(body: bytes, _headers: Mapping[str, str]) -> ChatRequest:
    """Read the body of /api/generate, a prompt that is the only message of a chat."""
    native = read_fields(body)
    known, unknown = _generate.read(body)
    for name in _REFUSED:
        if bytes(native.get(name, NULL)) not in EMPTY:
            text = f"the field {name} is not supported: a target makes the prompt by itself"
            raise bad_request("unsupported_field", text, name)
    if not known.prompt and not known.images:
        return _preload(_asking(body, native, known, unknown, [], {}), {"response": ""})
    said = known.prompt or ""
    messages: list[Message] = [{"role": "system", "content": known.system}] if known.system else []
    content = with_images(said, known.images) if known.images else said
    messages.append({"role": "user", "content": content})
    return _asking(body, native, known, unknown, messages, {})


def _preload(request: ChatRequest, empty: Mapping[str, object]) -> ChatRequest:
    """Take a request that says nothing as `ollama run` means it: its model is to be ready.

    One that is to be let go is refused: a model is placed and removed for all who ask for it.
    """
    native = request.native or {}
    if bytes(native.get("keep_alive", NULL)) in _LET_GO:
        text = "a model is not unloaded by keep_alive: exo-supervisor models remove does that"
        raise bad_request("unsupported_field", text, "keep_alive")
    told = {"model": request.model, **empty, "done": True, "done_reason": "load"}
    return structs.replace(request, preload=msgspec.json.encode(told))


def read_embed(body: bytes, _headers: Mapping[str, str]) -> ChatRequest:
    """Read the body of /api/embed, or of the older /api/embeddings, whose text is a `prompt`."""
    read_fields(body)
    known, unknown = _embed.read(body)
    for name in unknown:
        text = f"the field {name} means nothing for vectors: leave it out"
        raise bad_request("unsupported_field", text, name)
    model = check_model(known.model)
    told = known.prompt if known.input is None else known.input
    count = count_inputs(told if isinstance(told, str | None) else [*told], "input")
    fields: dict[str, object] = {"model": model, "input": told, "encoding_format": "float"}
    if known.dimensions is not None:
        fields["dimensions"] = known.dimensions
    return embeddings(model, as_fields(fields), count)


def _asking(
    body: bytes, native: Fields, known: _Known, unknown: list[str], messages: list[Message],
    tools: dict[str, object],
) -> ChatRequest:  # fmt: skip
    model = check_model(known.model)
    options = read_as(_members, known.options, under="options") or {}
    limits = read_as(_options, known.options, under="options") if options else _Options()
    stop = check_stop(limits.stop, "options.stop")
    limit = limits.num_predict
    limit = check_limit(None if limit is None or limit < 0 else limit)  # -1 and -2 mean no limit
    told: dict[str, object] = {
        "model": model,
        "messages": messages,
        **tools,
        **({} if limit is None else {"max_tokens": limit}),
        **{_NAMES[name]: raw for name, raw in options.items() if name in _NAMES and raw != NULL},
        **({"stop": stop} if stop else {}),
        **_thought(known.think),
        **_format(known.format),
        "stream": known.stream is not False,
    }
    demands = _unknown(options).union(unknown)
    if bytes(known.logprobs) not in EMPTY:
        demands.add("logprobs")
    return translated(body, native, told, dialect="ollama", limit=limit, only_ours=demands)


def _unknown(options: Fields) -> set[str]:
    """Name the options that change an answer and that nobody else can be asked for."""
    names = {
        name
        for name, raw in options.items()
        if name not in _NAMES and name not in _RUN and raw != NULL
        and _HARMLESS.get(name) != bytes(raw).removesuffix(b".0")
    }  # fmt: skip
    return {f"options.{name}" if re.fullmatch(_PLAIN_NAME, name) else "options" for name in names}


def _thought(think: bool | str | None) -> dict[str, object]:  # noqa: FBT001 - the client's field
    if think is None or think == "":
        return {}
    if isinstance(think, bool):
        return {"reasoning_effort": "medium" if think else "none"}
    if think not in {"low", "medium", "high"}:
        raise wrong("think", "it is true, false, low, medium or high")
    return {"reasoning_effort": think}


def _format(told: Raw) -> dict[str, object]:
    """Say which form the answer has to have: any JSON, or one of a schema."""
    if bytes(told) in EMPTY:
        return {}
    if told == Raw(b'"json"'):
        return {"response_format": {"type": "json_object"}}
    if not bytes(told).startswith(b"{"):
        raise wrong("format", "it is json or a schema")
    # Not strict: that wants a schema of its own kind, and refuses those that pydantic writes.
    schema = {"name": "answer", "schema": told}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
