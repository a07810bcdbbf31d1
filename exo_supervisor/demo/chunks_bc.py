"""Chat answers as generations B (every null spelled) and C (no nulls) write them."""

import time
from typing import Any, cast

import msgspec

from exo_supervisor.demo.answers import Answer, JsonObject, Wish
from exo_supervisor.demo.course import DONE

EVENT_STREAM = "text/event-stream; charset=utf-8"
KEEPALIVE = b": keep-alive\n\n"


def answer(wish: Wish, *, nulls: bool, fails: str | None = None) -> Answer:
    """Return the healthy answer to `wish`; `fails` is the engine's error message instead."""
    spell = _Spelling(wish, nulls=nulls)
    events = spell.events()
    failure = (spell.error(fails or "Runner shutdown before completing command"), DONE)
    stats: JsonObject = {
        "prompt_tps": 701.79,
        "generation_tps": 443.81,
        "prompt_tokens": wish.prompt_tokens,
        "generation_tokens": len(wish.tokens),
        "peak_memory_usage": {"in_bytes": 3253657},
        "prefix_cache_hit": "none",
    }
    return Answer(
        stream=wish.stream,
        early=True,
        content_type=EVENT_STREAM if wish.stream else "application/json",
        opening=(KEEPALIVE,) if fails else (KEEPALIVE, spell.progress(0, 1), spell.progress(1, 1)),
        events=events,
        open_end=spell.token(len(events) - 1, finish=None),
        closing=(b": generation_stats " + _json(stats) + b"\n\n", DONE),
        failure=failure,
        keepalive=KEEPALIVE,
        closes=wish.stream,
        progress=spell.progress,
        whole=b"" if fails else spell.whole(),
        partial=spell.partial,
        failed_whole=(200, b""),
    )


class _Spelling:
    """Writes one wish's chunks; a key whose value is None stands only where `nulls` are spelled."""

    def __init__(self, wish: Wish, *, nulls: bool) -> None:
        self.wish = wish
        self.nulls = nulls
        self.created = int(time.time())

    def events(self) -> tuple[bytes, ...]:
        if self.wish.tool:
            return (self.token(0, finish="tool_calls"),)
        last = len(self.wish.tokens) - 1
        return tuple(
            self.token(at, finish=self.wish.finish if at == last else None)
            for at in range(last + 1)
        )

    def token(self, at: int, *, finish: str | None) -> bytes:
        choice = {
            "index": 0,
            "delta": self._message(self.wish.tokens[at : at + 1], thinking=at < self.wish.thoughts),
            "logprobs": self._logprobs(self.wish.tokens[at : at + 1]),
            "finish_reason": finish,
            "usage": None,
        }
        usage = self._usage(at + 1) if finish else None
        return b"data: " + self._chunk(choice, usage) + b"\n\n"

    def whole(self) -> bytes:
        finish = "tool_calls" if self.wish.tool else self.wish.finish
        return self._object(self.wish.tokens, finish)

    def partial(self, count: int) -> bytes:
        return self._object(self.wish.tokens[:count], None) if count else b""

    def error(self, message: str) -> bytes:
        error = {"message": message, "type": "InternalServerError", "param": None, "code": 500}
        return b"data: " + _json(self._lean({"error": error})) + b"\n\n"

    def progress(self, processed: int, total: int) -> bytes:
        chunk = {
            "model": self.wish.model,
            "processed_tokens": processed,
            "total_tokens": total,
        }
        return b": prefill_progress " + _json({"PrefillProgressChunk": chunk}) + b"\n\n"

    def _object(self, tokens: tuple[str, ...], finish: str | None) -> bytes:
        thoughts = self.wish.thoughts
        message = self._message(tokens[thoughts:], thinking=False)
        if thoughts:
            message["reasoning_content"] = "".join(tokens[:thoughts])
        choice: JsonObject = {
            "index": 0,
            "message": message,
            "logprobs": self._logprobs(tokens),
            "finish_reason": finish,
        }
        return self._chunk(choice, self._usage(len(tokens)) if finish else None)

    def _chunk(self, choice: JsonObject, usage: JsonObject | None) -> bytes:
        chunk = {
            "id": self.wish.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.wish.model,
            "choices": [choice],
            "usage": usage,
            "service_tier": None,
        }
        return _json(self._lean(chunk))

    def _message(self, tokens: tuple[str, ...], *, thinking: bool) -> JsonObject:
        text = None if self.wish.tool else "".join(tokens)
        return {
            "role": "assistant",
            "content": None if thinking else text,
            "reasoning_content": text if thinking else None,
            "name": None,
            "tool_calls": self._tool_calls(),
            "tool_call_id": None,
            "function_call": None,
        }

    def _tool_calls(self) -> list[JsonObject] | None:
        if not self.wish.tool:
            return None
        call = f"call_{self.wish.id[:8]}"
        function = {"id": call, "name": self.wish.tool, "arguments": '{"city": "Paris"}'}
        return [{"id": call, "index": 0, "type": "function", "function": function}]

    def _logprobs(self, tokens: tuple[str, ...]) -> JsonObject | None:
        if not self.wish.logprobs:
            return None
        some = {"token": "x", "logprob": -2.25, "bytes": [120]}
        none = {"token": "", "logprob": -2.25, "bytes": list[int]()}
        return {
            "content": [
                {
                    "token": token,
                    "logprob": -2.03,
                    "bytes": None,
                    "top_logprobs": [some if token == self.wish.tokens[0] else none, some][
                        : self.wish.top_logprobs
                    ],
                }
                for token in tokens
            ]
        }

    def _usage(self, completion: int) -> JsonObject | None:
        if not self.wish.billed:
            return None
        return {
            **self.wish.usage_of(completion),
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.wish.thoughts,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _lean(self, value: Any) -> Any:  # noqa: ANN401 - any JSON goes in and comes out
        return value if self.nulls else without_nulls(value)


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON goes in and comes out
    """Return JSON without the keys whose value is null."""
    if isinstance(value, dict):
        pairs = cast("JsonObject", value)
        return {key: without_nulls(item) for key, item in pairs.items() if item is not None}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [without_nulls(item) for item in items]
    return value


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
