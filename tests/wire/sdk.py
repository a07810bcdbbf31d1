"""The openai SDK's own types as the judge of what clients get."""

from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

UNCOUNTED = {"prompt_tokens": 0, "total_tokens": 0}
"""Counts that an upstream did not tell are absent; the SDK hands such a usage on as it came."""


def judge_chunk(chunk: dict[str, Any]) -> None:
    """Raise ValidationError for what is no chunk of a stream."""
    ChatCompletionChunk.model_validate(_counted(chunk), strict=True)


def judge_answer(answer: dict[str, Any]) -> None:
    """Raise ValidationError for what is no whole answer."""
    ChatCompletion.model_validate(_counted(answer), strict=True)


def _counted(told: dict[str, Any]) -> dict[str, Any]:
    usage = told.get("usage")
    return {**told, "usage": {**UNCOUNTED, **usage}} if usage else told
