"""Token counts of an answer as OpenAI's dialect tells them, whichever upstream counted."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.lenient_json import loads
from exo_supervisor.wire.untrusted_json import as_object

MOST = 10**9
"""Tokens that an answer may be said to have used; more would say nothing, but upset every sum."""

Count = Annotated[int, Meta(ge=0, le=MOST)]
_Count = Count | None


class _Prompt(Struct, gc=False):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None


class _Completion(Struct, gc=False):
    reasoning_tokens: _Count = None


class _Counts(Struct, gc=False):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count


class _Details(_Counts, gc=False):
    prompt_tokens_details: _Prompt | None = None
    completion_tokens_details: _Completion | None = None
    prompt_cache_hit_tokens: _Count = None
    """DeepSeek's name for what was cached."""
    cached_tokens: _Count = None
    """Moonshot's."""


_details = msgspec.json.Decoder(_Details).decode
_NO_PROMPT, _NO_COMPLETION = _Prompt(), _Completion()


def read_usage(raw: Raw) -> Usage:
    """Read a `usage`, leniently where need be; raises one of UNREADABLE where a whole is no count.

    A detail that is not told, or is no count, is 0.
    """
    try:
        told = _details(raw)
    except msgspec.DecodeError:
        told = _read_leniently(raw)
    prompt = told.prompt_tokens_details or _NO_PROMPT
    completion = told.completion_tokens_details or _NO_COMPLETION
    return Usage(
        told.prompt_tokens,
        told.completion_tokens,
        told.total_tokens,
        prompt.cached_tokens or told.prompt_cache_hit_tokens or told.cached_tokens or 0,
        prompt.cache_write_tokens or 0,
        0,
        completion.reasoning_tokens or 0,
    )


def _read_leniently(raw: Raw) -> _Details:
    usage = as_object(loads(raw))
    counts = msgspec.convert(usage, _Counts)
    prompt = as_object(usage.get("prompt_tokens_details"))
    completion = as_object(usage.get("completion_tokens_details"))
    return _Details(
        counts.prompt_tokens,
        counts.completion_tokens,
        counts.total_tokens,
        _Prompt(_count(prompt, "cached_tokens"), _count(prompt, "cache_write_tokens")),
        _Completion(_count(completion, "reasoning_tokens")),
        _count(usage, "prompt_cache_hit_tokens"),
        _count(usage, "cached_tokens"),
    )


def write_usage(usage: Usage) -> bytes:
    """Write a usage as OpenAI's JSON; details that are 0 are left out."""
    prompt = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    completion = {"reasoning_tokens": usage.reasoning_tokens}
    whole: dict[str, object] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
    for name, details in (("prompt", prompt), ("completion", completion)):
        if told := {key: count for key, count in details.items() if count}:
            whole[f"{name}_tokens_details"] = told
    return msgspec.json.encode(whole)


def _count(told: dict[str, object], name: str) -> int:
    count = told.get(name)
    return count if type(count) is int and 0 < count <= MOST else 0
