"""Token counts of an answer as OpenAI's dialect tells them, whichever upstream counted."""

import msgspec
from msgspec import Struct

from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.untrusted_json import as_object


class _Counts(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def read_usage(told: object) -> Usage:
    """Read a decoded `usage`; raises ValidationError where it lacks a count.

    A detail that is not told, or is no count, is 0.
    """
    counts = msgspec.convert(told, _Counts)
    usage = as_object(told)
    prompt = as_object(usage.get("prompt_tokens_details"))
    completion = as_object(usage.get("completion_tokens_details"))
    return Usage(
        counts.prompt_tokens,
        counts.completion_tokens,
        counts.total_tokens,
        cached_tokens=_count(prompt, "cached_tokens")
        or _count(usage, "prompt_cache_hit_tokens")  # DeepSeek
        or _count(usage, "cached_tokens"),  # Moonshot
        cache_write_tokens=_count(prompt, "cache_write_tokens"),
        reasoning_tokens=_count(completion, "reasoning_tokens"),
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
    return count if type(count) is int and count > 0 else 0
