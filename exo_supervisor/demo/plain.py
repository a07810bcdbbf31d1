"""The course of an answer that is one object, not a stream, under one disease."""

from collections.abc import Iterator

from exo_supervisor.demo.answers import Answer
from exo_supervisor.demo.diseases import LOADS, Disease
from exo_supervisor.demo.steps import Abort, Head, Mute, Pause, Reset, Step, UntilCured, Write

HANGS = frozenset({"keepalives_only", "runner_failed", "runner_gone"})
"""Of these a client that asked for a stream sees nothing but keep-alives."""
WAITS = frozenset({"slow", "prefill_then_content", "long_step", "pause"})
MUTE = HANGS | {"headers_then_silent", "prefill_stalls", "stall"}
"""Of these a client that asked for a whole answer sees nothing but a head."""


def plain(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    """Yield what the server does for a client that asked for no stream."""
    kind = "text/html" if ill.name == "wrong_content_type" else answer.content_type
    if answer.early or ill.name == "headers_then_silent":
        yield Head(200, kind)
    if ill.name in MUTE:
        yield Mute()
    if ill.name in LOADS:
        yield UntilCured()
    yield Pause(_seconds(answer, ill, pace))
    status, body = plain_body(answer, ill)
    if ill.name == "cut" and ill.after == 0:
        yield Abort()
    if not answer.early:
        yield Head(status, kind, len(body))
    if ill.name in {"cut", "reset"}:
        yield Write(body[: len(body) // 2])
        yield Abort() if ill.name == "cut" else Reset()
    yield Write(body, tokens=len(answer.events))


def _seconds(answer: Answer, ill: Disease, pace: float) -> float:
    extra = ill.seconds if ill.name in WAITS else 0.0
    return (ill.seconds if ill.name == "trickle" else pace) * len(answer.events) + extra


def plain_body(answer: Answer, ill: Disease) -> tuple[int, bytes]:
    """Return the status and the body of an answer that is one object."""
    match ill.name:
        case "error_event":
            return answer.failed_whole
        case "timeout_408":
            return 408, b'{"detail": "Request timed out"}'
        case "empty_200":
            return 200, b""
        case "unfinished":
            return 200, answer.partial(ill.after)
        case "done_without_finish":
            return 200, answer.partial(len(answer.events))
        case "bad_json" | "bad_json_event":
            return 200, answer.whole[: len(answer.whole) // 2]
        case "odd_json":
            return 200, answer.whole.replace(b"{", b'{"odd":[NaN,-Infinity,"\\ud83d"],', 1)
        case "network_error":
            return 200, answer.whole.replace(b'"stop"', b'"network_error"')
        case "bytes_after_done":
            return 200, answer.whole + b"\nnoise"
        case _:
            return 200, answer.whole
