"""The course of one answer under one disease: a pure sequence of steps, without I/O or clock."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from exo_supervisor.demo.answers import Answer
from exo_supervisor.demo.diseases import Disease

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Head:
    """Send status line and headers; no `length` means chunks."""

    status: int
    content_type: str
    length: int | None = None


@dataclass(frozen=True)
class Write:
    """Send bytes that hold so many tokens."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True)
class Raw:
    """Send bytes past the framing of the body, and close."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds, with keep-alives where the server has them."""

    seconds: float


@dataclass(frozen=True)
class UntilCured:
    """Wait until the disease is another, with keep-alives."""


@dataclass(frozen=True)
class Idle:
    """Send nothing but keep-alives, for ever."""


@dataclass(frozen=True)
class Mute:
    """Send nothing at all, for ever."""


@dataclass(frozen=True)
class Abort:
    """Drop the connection without a terminator."""


Step = Head | Write | Raw | Pause | UntilCured | Idle | Mute | Abort
Body = Callable[[Answer, Disease, float], Iterator[Step]]


def course(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    """Yield what the server does, in order; the end of the steps is a clean end of the body."""
    steps = _streamed(answer, ill, pace) if answer.stream else _plain(answer, ill, pace)
    if ill.name == "crlf":
        return _crlf(steps)
    if ill.name == "split_bytes":
        return _split(steps)
    return steps


def _streamed(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    if ill.name == "silent_chat":
        yield Mute()
    if not answer.early:
        yield from _before_head(ill, pace)
        if ill.name in {"error_event", "timeout_408"} and ill.after == 0:
            yield from _failed_whole(answer, ill)
            return
    yield Head(200, "text/html" if ill.name == "wrong_content_type" else answer.content_type)
    if ill.name == "headers_then_silent":
        yield Mute()
    if ill.name == "empty_200":
        return
    yield from map(Write, answer.opening[:1])
    if ill.name in {"keepalives_only", "runner_failed"}:
        yield Idle()
    if ill.name == "loading":
        yield UntilCured()
    yield from map(Write, answer.opening[1:])
    yield from BODIES.get(ill.name, _healthy)(answer, ill, pace)


def _failed_whole(answer: Answer, ill: Disease) -> Iterator[Step]:
    status, body = _plain_body(answer, ill)
    yield Head(status, "application/json; charset=utf-8", len(body))
    yield Write(body)


def _before_head(ill: Disease, pace: float) -> Iterator[Step]:
    yield Pause(ill.seconds if ill.name == "slow" else pace)
    if ill.name in {"keepalives_only", "runner_failed"}:
        yield Mute()
    if ill.name == "loading":
        yield UntilCured()


def _tokens(events: Iterable[bytes], pace: float) -> Iterator[Step]:
    for event in events:
        yield Pause(pace)
        yield Write(event, tokens=1)


def _healthy(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens(answer.events, pace)
    yield from map(Write, answer.closing)


def _slow(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    if answer.early:
        yield Pause(ill.seconds)
    yield from _healthy(answer, ill, pace)


def _unfinished(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens(answer.events[:-1][: ill.after], pace)


def _cut(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    yield Abort()


def _stall(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    yield Idle()


def _error_event(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    yield from map(Write, answer.failure)
    if not answer.failure:
        yield Abort()


def _timeout_408(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    detail = b'{"detail": "Request timed out"}'
    yield Raw(
        b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json; charset=utf-8\r\n"
        b"Content-Length: %d\r\nServer: Python/3.12 aiohttp/3.10.11\r\nConnection: close\r\n\r\n"
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(detail), len(detail), detail)
    )


def _bad_json_event(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    yield Write(b'data: {"id":"x","choices":[{"ind\n\n')
    yield from _tokens(answer.events[ill.after :], pace)
    yield from map(Write, answer.closing)


def _no_done(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens(answer.events, pace)
    yield from (Write(data) for data in answer.closing if data != DONE)


def _done_without_finish(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens((*answer.events[:-1], answer.open_end), pace)
    yield Write(DONE)


def _bytes_after_done(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _healthy(answer, ill, pace)
    yield Write(b'data: {"late":true}\n\nnoise without an end')


def _prefill(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    parts = 5
    for part in range(1, parts + 1):
        yield Pause(ill.seconds / parts)
        if answer.progress:
            yield Write(answer.progress(part * 1000, parts * 1000))
    yield from _healthy(answer, ill, pace)


def _trickle(answer: Answer, ill: Disease, _: float) -> Iterator[Step]:
    yield from _healthy(answer, ill, ill.seconds)


BODIES: dict[str, Body] = {
    "slow": _slow,
    "unfinished": _unfinished,
    "cut": _cut,
    "stall": _stall,
    "error_event": _error_event,
    "timeout_408": _timeout_408,
    "bad_json_event": _bad_json_event,
    "no_done": _no_done,
    "done_without_finish": _done_without_finish,
    "bytes_after_done": _bytes_after_done,
    "prefill_then_content": _prefill,
    "trickle": _trickle,
}


def _plain(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    kind = "text/html" if ill.name == "wrong_content_type" else answer.content_type
    if ill.name == "silent_chat":
        yield Mute()
    if answer.early or ill.name == "headers_then_silent":
        yield Head(200, kind)
    if ill.name in {"headers_then_silent", "keepalives_only", "stall", "runner_failed"}:
        yield Mute()
    if ill.name == "loading":
        yield UntilCured()
    yield Pause(_plain_seconds(answer, ill, pace))
    status, body = _plain_body(answer, ill)
    if ill.name == "cut" and ill.after == 0:
        yield Abort()
    if not answer.early:
        yield Head(status, kind, len(body))
    if ill.name == "cut":
        yield Write(body[: len(body) // 2])
        yield Abort()
    yield Write(body, tokens=len(answer.events))


def _plain_seconds(answer: Answer, ill: Disease, pace: float) -> float:
    extra = ill.seconds if ill.name in {"slow", "prefill_then_content"} else 0.0
    return (ill.seconds if ill.name == "trickle" else pace) * len(answer.events) + extra


def _plain_body(answer: Answer, ill: Disease) -> tuple[int, bytes]:
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
        case "bad_json_event":
            return 200, answer.whole[: len(answer.whole) // 2]
        case "bytes_after_done":
            return 200, answer.whole + b"\nnoise"
        case _:
            return 200, answer.whole


def _crlf(steps: Iterator[Step]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Write):
            yield replace(step, data=step.data.replace(b"\n", b"\r\n"))
        else:
            yield step


def _split(steps: Iterator[Step]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Write):
            yield from (Write(step.data[at : at + 1]) for at in range(len(step.data) - 1))
            yield replace(step, data=step.data[-1:])
        else:
            yield step
