"""Token counts of an answer as OpenAI's dialect tells them, whichever upstream counted."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from exo_supervisor.core.books.amount import amount_of, pico_of
from exo_supervisor.wire.chat.piece import NULL, Usage
from exo_supervisor.wire.lenient_json import MAX_ASIDE, loads, members
from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

MOST = 10**9
"""Tokens that an answer may be said to have used; more would say nothing, but upset every sum."""

Count = Annotated[int, Meta(ge=0, le=MOST)]
_Count = Count | None


class _Prompt(Struct, gc=False):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None


class _Completion(Struct, gc=False):
    reasoning_tokens: _Count = None


class _Reported(Struct, gc=False):
    """What an upstream says that it asks, each as it came: digits are no float."""

    cost: Raw = NULL
    """OpenRouter's, in dollars, with a key of the user's own its fee alone; Perplexity's parts."""
    is_byok: Raw = NULL
    cost_details: Raw = NULL
    estimated_cost: Raw = NULL
    """DeepInfra's."""
    cost_in_usd_ticks: Raw = NULL
    """xAI's."""


class _Counts(_Reported, kw_only=True, gc=False):
    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count


class _Details(_Counts, kw_only=True, gc=False):
    prompt_tokens_details: _Prompt | None = None
    completion_tokens_details: _Completion | None = None
    prompt_cache_hit_tokens: _Count = None
    """DeepSeek's name for what was cached."""
    cached_tokens: _Count = None
    """Moonshot's."""
    cached_prompt_text_tokens: _Count = None
    """An older name of xAI's."""
    cache_read_input_tokens: _Count = None
    """Databricks'."""
    reasoning_tokens: _Count = None
    """Perplexity's, and others'."""


_details = msgspec.json.Decoder(_Details).decode
_reports = msgspec.json.Decoder(_Reported).decode
_NO_PROMPT, _NO_COMPLETION = _Prompt(), _Completion()
_WHOLES = ("prompt_tokens", "completion_tokens", "total_tokens")
_OTHER_NAMES = (
    "prompt_cache_hit_tokens", "cached_tokens", "cached_prompt_text_tokens",
    "cache_read_input_tokens", "reasoning_tokens",
)  # fmt: skip
_TRUE = Raw(b"true")
_TICKS = 10**10
"""Of xAI's, in a dollar."""


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
    reasoning = completion.reasoning_tokens or told.reasoning_tokens or 0
    whole = told.completion_tokens
    cached = (
        prompt.cached_tokens or told.prompt_cache_hit_tokens or told.cached_tokens
        or told.cached_prompt_text_tokens or told.cache_read_input_tokens or 0
    )  # fmt: skip
    return Usage(
        told.prompt_tokens,
        whole + reasoning if reasoning and _stands_beside(reasoning, told) else whole,
        told.total_tokens,
        cached,
        prompt.cache_write_tokens or 0,
        0,
        reasoning,
        _cost_of(told),
    )


def usage_told(raw: Raw, before: int) -> tuple[Usage, bytes] | None:
    """Return a `usage`, and how it is told to clients; None: it is none, or too long for one.

    Of a whole answer, `before` tokens were another upstream's: they were a part of this one's
    prompt, and are one of the whole answer.
    """
    if len(raw) > MAX_ASIDE:
        return None
    try:
        told = read_usage(raw)
    except UNREADABLE:
        return None
    if not before:
        return told, bytes(raw)
    prompt, completion = max(0, told.prompt_tokens - before), told.completion_tokens + before
    whole = msgspec.structs.replace(
        told,
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=min(told.cached_tokens, prompt),
    )
    return whole, write_usage(whole)


def _stands_beside(reasoning: int, told: _Counts) -> bool:
    """Say whether what was thought is no part of the completion: xAI and Perplexity count so.

    xAI's total says it; of Perplexity's, which leaves it out, a part larger than the whole does.
    """
    whole = told.completion_tokens
    return reasoning > whole or told.total_tokens == told.prompt_tokens + whole + reasoning


def read_reported(raw: Raw) -> int | None:
    """Read what a `usage` of any dialect says that it asks, in pico-dollars."""
    try:
        return _cost_of(_reports(raw)) if b"cost" in bytes(raw) else None
    except UNREADABLE:
        return None


def _cost_of(told: _Reported) -> int | None:
    if told.cost is told.estimated_cost is told.cost_in_usd_ticks:  # as by default: none was told
        return None
    if told.cost != NULL:
        cost = _amount(told.cost, "total_cost")
        if cost is not None and told.is_byok == _TRUE:
            cost += _amount(told.cost_details, "upstream_inference_cost") or 0
    elif told.estimated_cost != NULL:
        cost = _amount(told.estimated_cost)
    else:
        ticks = _amount(told.cost_in_usd_ticks)
        return None if ticks is None else pico_of(ticks, _TICKS)
    return None if cost is None else pico_of(cost)


def _amount(raw: Raw, part: str = "") -> Decimal | None:
    """Read an amount, or that `part` of an object that is one."""
    if raw == NULL:
        return None
    text = bytes(members(raw).get(part, NULL) if bytes(raw).startswith(b"{") else raw)
    return amount_of(text.strip(b'"').decode(errors="replace"))


def _read_leniently(raw: Raw) -> _Details:
    usage = as_object(loads(raw))
    counts = msgspec.convert({name: usage.get(name) for name in _WHOLES}, _Counts)
    prompt = as_object(usage.get("prompt_tokens_details"))
    completion = as_object(usage.get("completion_tokens_details"))
    told = members(raw)
    return _Details(
        prompt_tokens=counts.prompt_tokens,
        completion_tokens=counts.completion_tokens,
        total_tokens=counts.total_tokens,
        prompt_tokens_details=_Prompt(
            _count(prompt, "cached_tokens"), _count(prompt, "cache_write_tokens")
        ),
        completion_tokens_details=_Completion(_count(completion, "reasoning_tokens")),
        **{name: _count(usage, name) for name in _OTHER_NAMES},
        cost=told.get("cost", NULL),
        is_byok=told.get("is_byok", NULL),
        cost_details=told.get("cost_details", NULL),
        estimated_cost=told.get("estimated_cost", NULL),
        cost_in_usd_ticks=told.get("cost_in_usd_ticks", NULL),
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
