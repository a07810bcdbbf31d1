"""One request for an answer: what is sent, the answer as it arrives, and who gave it."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from exo_supervisor.cli.awaited import awaited
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.http import asked
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, clean, note, on_terminal, raw, write
from exo_supervisor.cli.waiting import Waiting
from exo_supervisor.client.chat import Chat
from exo_supervisor.client.errors import CutError
from exo_supervisor.client.http import Answer, wishes
from exo_supervisor.client.json_object import Fields

AGAIN = "run it again; exo-supervisor why {id} tells what failed"
_CHAT = "/v1/chat/completions"
_SERVED = ("target", "attempts", "shift", "model")
_ID = "x-request-id"


def ask(arguments: Arguments, model: str, messages: Sequence[Fields]) -> str:
    """Ask, write the answer as it arrives and say who gave it; return it, empty under `--json`.

    Raises `VerbError` if it is not whole. Ctrl-C cancels it, at the service too.
    """
    reply = Chat()
    started = time.monotonic()
    try:
        with Waiting(lambda: awaited(arguments, model, reply)) as waiting:
            first = _carry(arguments, _wanted(arguments, model, messages), reply, waiting)
    except KeyboardInterrupt:
        _say_cancelled(reply)
        raise
    if arguments.json:
        return ""
    if not reply.done or reply.error:
        raise _not_whole(reply)
    note(_who(reply, model, first and first - started, time.monotonic() - started))
    return "".join(reply.pieces)


def _wanted(arguments: Arguments, model: str, messages: Sequence[Fields]) -> Fields:
    wanted: Fields = {"model": model, "messages": list(messages)}
    if arguments.max_tokens is not None:
        wanted["max_tokens"] = arguments.max_tokens
    if arguments.temperature is not None:
        wanted["temperature"] = arguments.temperature
    if not arguments.json:
        wanted |= {"stream": True, "stream_options": {"include_usage": True}}
    return wanted


def _carry(arguments: Arguments, wanted: Fields, reply: Chat, waiting: Waiting) -> float | None:
    """Send the request and write the answer; return when its first content came, if it did."""
    timeout = None  # the service's own timers end it
    wished = wishes(arguments.privacy, arguments.route, arguments.deadline)
    body, headers = json.dumps(wanted).encode(), {"content-type": "application/json", **wished}
    with asked(arguments, "POST", _CHAT, body=body, headers=headers, timeout=timeout) as answer:
        reply.served = {name: cell(answer.header(f"x-supervisor-{name}")) for name in _SERVED}
        reply.served["id"] = cell(answer.header(_ID))
        if not arguments.json:
            return _stream(answer, reply, waiting)
        whole = answer.whole()
        waiting.over()
        raw(whole)
    return None


def _stream(answer: Answer, reply: Chat, waiting: Waiting) -> float | None:
    """Write the content as it arrives; return when its first piece came, by the monotonic clock."""
    first: float | None = None
    for content in _contents(answer, reply):
        if first is None:
            first = time.monotonic()
            waiting.over()
        write(clean(content) if on_terminal(sys.stdout) else content)
    if reply.open_line:
        write("\n")
    return first


def _contents(answer: Answer, reply: Chat) -> Iterator[str]:
    try:
        for part in answer.parts():
            yield from reply.feed(part)
            if reply.over:
                return
        yield from reply.close()
    except CutError as error:
        reply.error = f"{error.message}, {error.why}"


def _say_cancelled(reply: Chat) -> None:
    with suppress(BrokenPipeError, VerbError):
        write("\n" if reply.open_line else "")
        note("-- cancelled" + ("; the text above is not whole" if reply.pieces else ""))


def _not_whole(reply: Chat) -> VerbError:
    target = _served(reply, "target")
    why = reply.error or "it ended without its last word, [DONE]"
    again = AGAIN.format(id=_served(reply, "id") or "--last")
    if not reply.pieces:
        return VerbError(why, why=[f"from {target}"] if target else [], hint=again)
    pieces = "1 piece" if len(reply.pieces) == 1 else f"{len(reply.pieces)} pieces"
    return VerbError(
        f"{target or 'the answer'} broke off after {pieces}; the text above is not whole",
        why=[why],
        hint=again,
    )


def _who(reply: Chat, model: str, first: float | None, total: float) -> str:
    """Say who served and how fast; a shift, more attempts, another model only where there were."""
    target, shift = _served(reply, "target"), _served(reply, "shift")
    attempts, served = _served(reply, "attempts"), _served(reply, "model")
    kind = "" if not target else "Exo " if ":" in target else "cloud "
    parts = [kind + (target or "served, by whom was not said")]
    if shift:
        parts.append(f"shift {shift}")
    if attempts and (shift or attempts != "1"):
        parts.append(f"attempts {attempts}")
    if served and served != model:
        parts.append(f"model {served}")
    if reply.finish not in {"", "stop"}:
        parts.append(f"finish {cell(reply.finish)}")
    if reply.tokens:
        parts.append("1 token" if reply.tokens == 1 else f"{reply.tokens} tokens")
    if first is not None:
        parts.append(f"first content {first:.2f} s")
    return "-- " + ", ".join([*parts, f"total {total:.1f} s"])


def _served(reply: Chat, name: str) -> str:
    value = reply.served.get(name)
    return cell(str(value)) if value is not None else ""
