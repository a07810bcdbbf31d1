"""The course of one answer under one disease: a pure sequence of steps, without I/O or clock."""

from collections.abc import Callable, Iterable, Iterator

from exo_supervisor.demo.answers import Answer
from exo_supervisor.demo.diseases import LOADS, Disease
from exo_supervisor.demo.framing import FRAMINGS
from exo_supervisor.demo.plain import HANGS, plain, plain_body
from exo_supervisor.demo.steps import (
    Abort,
    Head,
    Hints,
    Idle,
    Mute,
    Pause,
    Raw,
    Reset,
    Step,
    UntilCured,
    Write,
)

DONE = b"data: [DONE]\n\n"
HINTS = 3
PAGE = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
TWO_LENGTHS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}\n"
)

Body = Callable[[Answer, Disease, float], Iterator[Step]]


def course(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    """Yield what the server does, in order; the end of the steps is a clean end of the body."""
    steps = _answered(answer, ill, pace)
    framing = FRAMINGS.get(ill.name)
    return steps if framing is None else framing(steps)


def _answered(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    match ill.name:
        case "silent_chat":
            yield Mute()
        case "reset_early":
            yield Reset()
        case "two_lengths":
            yield Raw(TWO_LENGTHS)
        case "html":
            yield Head(200, "text/html; charset=utf-8", len(PAGE))
            yield Write(PAGE)
            return
        case "hints" | "hints_flood":
            yield Hints(HINTS if ill.name == "hints" else None)
        case _:
            pass
    yield from (_streamed if answer.stream else plain)(answer, ill, pace)


def _streamed(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
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
    if ill.name in HANGS:
        yield Idle()
    if ill.name in LOADS:
        yield UntilCured()
    yield from map(Write, answer.opening[1:])
    yield from BODIES.get(ill.name, _healthy)(answer, ill, pace)


def _failed_whole(answer: Answer, ill: Disease) -> Iterator[Step]:
    status, body = plain_body(answer, ill)
    yield Head(status, "application/json; charset=utf-8", len(body))
    yield Write(body)


def _before_head(ill: Disease, pace: float) -> Iterator[Step]:
    yield Pause(ill.seconds if ill.name == "slow" else pace)
    if ill.name in HANGS:
        yield Mute()
    if ill.name in LOADS:
        yield UntilCured()


def _tokens(events: Iterable[bytes], pace: float) -> Iterator[Step]:
    for event in events:
        yield Pause(pace)
        yield Write(event, tokens=1)


def _to_the_end(answer: Answer, events: Iterable[bytes], pace: float) -> Iterator[Step]:
    """Write these events, and then what the answer closes with."""
    yield from _tokens(events, pace)
    yield from map(Write, answer.closing)


def _healthy(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    return _to_the_end(answer, answer.events, pace)


def _slow(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    if answer.early:
        yield Pause(ill.seconds)
    yield from _healthy(answer, ill, pace)


def _unfinished(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens(answer.events[:-1][: ill.after], pace)


def _then(body: Body, last: Step) -> Body:
    """Make the course that goes one step further."""

    def further(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
        yield from body(answer, ill, pace)
        yield last

    return further


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
    return _interrupted(answer, answer.broken, ill, pace)


def _breach(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    return _interrupted(answer, answer.breaches.get(ill.breach, b""), ill, pace)


def _interrupted(answer: Answer, by: bytes, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    yield Write(by)
    yield from _to_the_end(answer, answer.events[ill.after :], pace)


def _bad_json(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    halves = (event[: len(event) // 2] + b"\n\n" for event in answer.events)
    return _to_the_end(answer, halves, pace)


def _odd_json(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    """Say what JSON has no word for, as Python's `json` does when nobody stops it."""
    odd = (event.replace(b"{", b'{"odd":[NaN,-Infinity,"\\ud83d"],', 1) for event in answer.events)
    return _to_the_end(answer, odd, pace)


def _network_error(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    yield from _unfinished(answer, ill, pace)
    yield Write(answer.events[-1].replace(b'"stop"', b'"network_error"'))
    yield from map(Write, answer.closing)


def _tool_cut(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    """End in the middle of a call's arguments: between two events, else within the one."""
    *before, last = answer.events[:3]
    yield from _tokens(before, pace)
    yield Write(last[: len(last) // 2])
    yield Abort()


def _no_done(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens(answer.events, pace)
    yield from map(Write, answer.closing[:-1])


def _done_without_finish(answer: Answer, _: Disease, pace: float) -> Iterator[Step]:
    yield from _tokens((*answer.events[:-1], answer.open_end), pace)
    yield Write(DONE)


def _prefill_stalls(answer: Answer, ill: Disease, _: float) -> Iterator[Step]:
    while answer.progress:
        yield Write(answer.progress(1000, 5000))
        yield Pause(ill.seconds)
    yield Idle()


def _prefill(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    parts = 5
    for part in range(1, parts + 1):
        yield Pause(ill.seconds / parts)
        if answer.progress:
            yield Write(answer.progress(part * 1000, parts * 1000))
    yield from _healthy(answer, ill, pace)


def _long_step(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    """Read a prompt in steps of 4,096 tokens, of which nothing is told before it is over."""
    if answer.progress:
        yield Write(answer.progress(0, 5000))
    yield Pause(ill.seconds)
    if answer.progress:
        yield Write(answer.progress(4096, 5000))
    yield from _healthy(answer, ill, pace)


def _pause(answer: Answer, ill: Disease, pace: float) -> Iterator[Step]:
    """Be silent in the midst, as Exo and some clouds are while a call of a tool is written."""
    yield from _tokens(answer.events[: ill.after], pace)
    yield Pause(ill.seconds)
    yield from _to_the_end(answer, answer.events[ill.after :], pace)


def _trickle(answer: Answer, ill: Disease, _: float) -> Iterator[Step]:
    return _to_the_end(answer, answer.events, ill.seconds)


BODIES: dict[str, Body] = {
    "slow": _slow,
    "unfinished": _unfinished,
    "cut": _then(_unfinished, Abort()),
    "reset": _then(_unfinished, Reset()),
    "stall": _then(_unfinished, Idle()),
    "error_event": _error_event,
    "timeout_408": _timeout_408,
    "bad_json_event": _bad_json_event,
    "breach": _breach,
    "bad_json": _bad_json,
    "odd_json": _odd_json,
    "network_error": _network_error,
    "tool_cut": _tool_cut,
    "no_done": _no_done,
    "done_without_finish": _done_without_finish,
    "bytes_after_done": _then(_healthy, Write(b'data: {"late":true}\n\nnoise without an end')),
    "open_after_done": _then(_healthy, Idle()),
    "prefill_then_content": _prefill,
    "prefill_stalls": _prefill_stalls,
    "long_step": _long_step,
    "pause": _pause,
    "trickle": _trickle,
}
