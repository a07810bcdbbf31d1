"""What a request wishes for, and the bytes of a healthy answer to it."""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from exo_supervisor.demo.diseases import HEALTHY, Breach, Disease

TEXT: Final = (
    "A river keeps no promise yet it arrives at the sea "
    "because every stone it meets only shows it another way"
)
FOREIGN: Final = "Õhtul läks jõgi üle kivide 河は海に着く 🌊🌊 нет обещаний, есть путь"
"""Words whose characters take up to four bytes each."""
THOUGHTS: Final = 3

JsonObject = dict[str, Any]


def told(count: int, words_of: str = TEXT) -> tuple[str, ...]:
    """Return `count` tokens of text, the same ones each time."""
    words = itertools.islice(itertools.cycle(words_of.split()), count)
    return tuple(word if at == 0 else f" {word}" for at, word in enumerate(words))


def text(count: int, words_of: str = TEXT) -> str:
    """Return the whole text of an answer of `count` tokens."""
    return "".join(told(count, words_of))


def compact(value: object) -> bytes:
    """Write JSON without blanks, as clouds do."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def event(value: object) -> bytes:
    """Write an event of a stream in OpenAI's dialect."""
    return b"data: " + compact(value) + b"\n\n"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the answer to one request shall hold."""

    id: str
    model: str
    tokens: tuple[str, ...]
    finish: str = "stop"
    stream: bool = False
    thoughts: int = 0
    tool: str | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    usage: bool = False
    billed: bool = True
    prompt_tokens: int = 1
    tells: JsonObject = field(default_factory=JsonObject)

    def usage_of(self, completion: int) -> JsonObject:
        """Say what so many tokens of an answer come to, in OpenAI's words."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The bytes of a healthy answer, cut where a disease may strike.

    `events` holds one event a token, and the last one carries the finish reason; `open_end` is
    that last one without it; `broken` is a piece of the answer that cannot be read; `breaches` are
    events that may not stand between two tokens. `early` servers send their headers before the
    first token.
    `whole`, `partial` (of so many tokens) and `failed_whole` (status, body) answer a request
    that asked for no stream. A server that `closes` ends its connection with the stream.
    """

    stream: bool
    early: bool
    content_type: str
    opening: tuple[bytes, ...] = ()
    events: tuple[bytes, ...]
    open_end: bytes
    closing: tuple[bytes, ...]
    failure: tuple[bytes, ...]
    broken: bytes = b'data: {"id":"x","choices":[{"ind\n\n'
    breaches: Mapping[Breach, bytes] = field(default_factory=dict[Breach, bytes])
    keepalive: bytes | None = None
    closes: bool = False
    progress: Callable[[int, int], bytes] | None = None
    whole: bytes
    partial: Callable[[int], bytes]
    failed_whole: tuple[int, bytes]


class Chat(msgspec.Struct):
    """The fields of a chat request that change an answer; the rest is accepted and ignored."""

    model: str | None = None
    messages: list[JsonObject] = []
    stream: bool | None = False
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    tools: list[JsonObject] | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = None
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None
    stream_options: JsonObject | None = None


def wish(
    chat: Chat,
    *,
    id_: str,
    model: str,
    count: int,
    ill: Disease = HEALTHY,
    prefills: bool = True,
) -> Wish:
    """Say what the answer holds: `count` tokens if nothing limits it, others if `ill` wants so.

    A server that `prefills` goes on with a last message of the assistant.
    Tools are called whenever the request offers some and brings no result of one yet.
    """
    spoken = _spoken(count, ill)
    tokens = _rest(chat, spoken) if prefills else spoken
    tokens, finish = limited(tokens, chat.max_tokens, chat.stop)
    thinks = chat.enable_thinking or chat.reasoning_effort not in {None, "none"}
    billed = ill.name != "no_usage"
    return Wish(
        id=id_,
        model=model,
        tokens=tokens,
        finish=finish,
        stream=bool(chat.stream),
        thoughts=min(THOUGHTS, len(tokens) - 1) if thinks else 0,
        tool=_tool(chat),
        logprobs=bool(chat.logprobs),
        top_logprobs=chat.top_logprobs or 0,
        usage=billed and bool((chat.stream_options or {}).get("include_usage")),
        billed=billed,
        prompt_tokens=sum(len(str(message.get("content"))) for message in chat.messages) // 4 + 1,
    )


def _rest(chat: Chat, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Go on with a last message of the assistant, as Exo B and C do, and some clouds."""
    last = chat.messages[-1] if chat.messages else {}
    told = last.get("content") if last.get("role") == "assistant" else None
    whole = "".join(tokens)
    if not isinstance(told, str) or not whole.startswith(told):
        return tokens
    rest: list[str] = []
    length = 0
    for token in tokens:
        length += len(token)
        if length > len(told):
            rest.append(token[max(0, len(token) - (length - len(told))) :])
    return tuple(rest) or ("",)


def _spoken(count: int, ill: Disease) -> tuple[str, ...]:
    match ill.name:
        case "huge_event":
            return ("x" * ill.size, *told(count)[1:])
        case "split_characters":
            return told(count, FOREIGN)
        case "empty_stream":
            return ("",)
        case _:
            return told(count)


def limited(
    tokens: tuple[str, ...], max_tokens: int | None, stop: str | list[str] | None
) -> tuple[tuple[str, ...], str]:
    """Apply `max_tokens`, then `stop`: the tokens left, and the reason to finish."""
    finish = "stop"
    if max_tokens is not None and max_tokens <= len(tokens):
        tokens, finish = tokens[: max(max_tokens, 1)], "length"
    whole = "".join(tokens)
    marks = [stop] if isinstance(stop, str) else stop or []
    found = [whole.find(mark) for mark in marks if mark and mark in whole]
    return (_shortened(tokens, min(found)), "stop") if found else (tokens, finish)


def _shortened(tokens: tuple[str, ...], length: int) -> tuple[str, ...]:
    kept: list[str] = []
    for token in tokens:
        if length <= 0:
            break
        kept.append(token[:length])
        length -= len(token)
    return tuple(kept) or ("",)


def _tool(chat: Chat) -> str | None:
    if not chat.tools or any(message.get("role") == "tool" for message in chat.messages):
        return None
    return str(chat.tools[0].get("function", {}).get("name", "f"))
