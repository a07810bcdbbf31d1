"""What a client's `profile` changes of its answers, for programs that cannot be changed themselves.

`token-manager` is for ai-token-manager. It takes 401, and 402 and 429, for the end of a provider,
for good; looks for the words below in the text of any error, and goes elsewhere; hangs up after
60 s without a byte; counts by `usage`, and takes an answer without whole numbers there for broken;
and sends no limit of an answer's length.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from re import IGNORECASE, sub
from typing import Final

import msgspec
from msgspec import Raw, structs

from exo_supervisor.core.estimate import BYTES_A_TOKEN
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.http.head import Head
from exo_supervisor.serve.target import CHAT, path_of
from exo_supervisor.wire.chat.piece import Answer
from exo_supervisor.wire.dialect import Answered, Framing, Operation, Reply, Told, told
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.table import served_at

TOKEN_MANAGER: Final = "token-manager"  # noqa: S105 - a program's name
MANAGERS_AGENT: Final = "python-requests/"
"""How its User-Agent begins, and that of many others."""
MAX_TOKENS: Final = 2048
"""What it gets at most where neither it nor the model's row says so."""
BLANK_AFTER: Final = 15.0
"""Seconds of silence that it is spared from; of its 60 the house may be late by a tick."""
BLANK: Final = b" "
"""May stand before any JSON text (RFC 8259, section 2)."""
_STATUSES: Final[Mapping[int, int]] = {401: 403, 402: 503, 429: 503}
_WORDS: Final = ((b"quota", b"allowance"), (b"402", b"40-2"), (b"429", b"4-29"))


def operation_for(head: Head, profile: str) -> Operation | Answered:
    """Return how a dispatched request is read and answered; raises KeyError."""
    path = path_of(head.target)
    served = served_at(path)
    if profile != TOKEN_MANAGER or isinstance(served, Answered):
        return served
    body = _write_counted if path == CHAT else served.body
    return structs.replace(served, body=body, framing=_patient(served.framing), defaults=_DEFAULTS)


_DEFAULTS: Final = {"max_tokens": Raw(b"%d" % MAX_TOKENS)}


def told_stranger(head: Head, refusal: Refusal) -> Refusal:
    """Tell a token manager whose token is not known so that it may come again with another."""
    if not head.headers.get("user-agent", "").startswith(MANAGERS_AGENT):
        return refusal
    return structs.replace(refusal, status=_STATUSES.get(refusal.status, refusal.status))


def _patient(framing: Framing) -> Framing:
    """Let whole answers be waited for, too, and errors be told in words that shut nothing out."""

    def error_body(said: Told) -> bytes:
        return without_words(framing.error_body(said))

    def keepalive(reply: Reply) -> bytes:
        return framing.keepalive(reply) if reply.chat.stream else BLANK

    def error_event(said: Told, reply: Reply) -> bytes:
        return framing.error_event(said, reply) if reply.chat.stream else b""

    def served(target: bytes, reply: Reply) -> bytes:
        return framing.served(target, reply) if reply.chat.stream else b""

    return structs.replace(
        framing,
        told=_mild,
        error_body=error_body,
        keepalive=keepalive,
        error_event=error_event,
        served=served,
        blank_after=BLANK_AFTER,
    )


def _mild(refusal: Refusal, request_id: str = "") -> Told:
    status = _STATUSES.get(refusal.status, refusal.status)
    return told(structs.replace(refusal, status=status), request_id)


def without_words(body: bytes) -> bytes:
    """Write an error's text without what would be taken for the end of a provider."""
    for word, other in _WORDS:
        body = sub(word, other, body, flags=IGNORECASE)
    return body


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class _CountedWriter(AnswerWriter):
    """Tells a whole `usage` where the target told none, and says that it is an estimate."""

    prompt: int = 0

    def result(self, answer: Answer) -> list[bytes]:
        if answer.usage is None:
            prompt = -(-self.prompt // BYTES_A_TOKEN)
            usage = {
                "prompt_tokens": prompt,
                "completion_tokens": answer.tokens,
                "total_tokens": prompt + answer.tokens,
                "estimated": True,
            }
            answer.usage_text = msgspec.json.encode(usage)
        return AnswerWriter.result(self, answer)


def _write_counted(reply: Reply) -> AnswerWriter:
    return _CountedWriter(
        id=f"chatcmpl-{reply.request}",
        created=reply.created,
        model=reply.model,
        prompt=len(reply.chat.prompt),
    )
