"""The verb `chat`: one question, the answer as it arrives, and who gave it."""

import json
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from exo_supervisor.cli.body import Fields, objects, parse_object, texts
from exo_supervisor.cli.errors import CutError, VerbError, misuse
from exo_supervisor.cli.http import Answer, fetch, send
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.stream import Reply, contents
from exo_supervisor.cli.tables import progress
from exo_supervisor.cli.term import cell, clean, note, on_terminal, raw, span, write
from exo_supervisor.cli.waiting import Waiting

_MOST_NAMED = 8
_AGAIN = "run it again; exo-supervisor nodes says who is ready"
_SERVED_HEADERS = ("target", "attempts", "shift", "model")


def chat(arguments: Arguments) -> int:
    """Ask one question and write the answer; fails if it is not whole."""
    question = _question(arguments)
    model = arguments.model or _only_ready(arguments)
    wanted: Fields = {"model": model, "messages": [{"role": "user", "content": question}]}
    if not arguments.json:
        wanted |= {"stream": True, "stream_options": {"include_usage": True}}
    reply = Reply(served={})
    started = time.monotonic()
    try:
        with Waiting(lambda: _awaited(arguments, model, reply)) as waiting:
            first = _ask(arguments, wanted, reply, waiting)
    except KeyboardInterrupt:
        _say_cancelled(reply)
        raise
    if arguments.json:
        return 0
    if not reply.done or reply.error:
        raise _not_whole(reply)
    note(_who(reply, model, first and first - started, time.monotonic() - started))
    return 0


def _ask(arguments: Arguments, wanted: Fields, reply: Reply, waiting: Waiting) -> float | None:
    """Send the request and write the answer; return when its first content came, if it did."""
    answer = send(
        arguments,
        "POST",
        "/v1/chat/completions",
        body=json.dumps(wanted).encode(),
        headers=_headers(arguments),
        timeout=None,  # the service's own timers end it
    )
    reply.served = {name: answer.header(f"x-supervisor-{name}") for name in _SERVED_HEADERS}
    try:
        if not arguments.json:
            return _stream(answer, reply, waiting)
        body = answer.whole()
        waiting.over()
        raw(body)
    finally:
        answer.close()
    return None


def _stream(answer: Answer, reply: Reply, waiting: Waiting) -> float | None:
    """Write the content as it arrives; return when its first piece came, by the monotonic clock."""
    first: float | None = None
    for content in _until_cut(answer, reply):
        if first is None:
            first = time.monotonic()
            waiting.over()
        write(clean(content) if on_terminal(sys.stdout) else content)
    if reply.open_line:
        write("\n")
    return first


def _until_cut(answer: Answer, reply: Reply) -> Iterator[str]:
    try:
        yield from contents(answer.lines(), reply)
    except CutError as error:
        reply.error = ", ".join([error.message, *error.why])


def _say_cancelled(reply: Reply) -> None:
    with suppress(BrokenPipeError, VerbError):
        write("\n" if reply.open_line else "")
        note("-- cancelled" + ("; the text above is not whole" if reply.pieces else ""))


def _question(arguments: Arguments) -> str:
    """Take the prompt from the words, else from a pipe, else from one line that is typed."""
    if arguments.words:
        text = " ".join(arguments.words)
    else:
        try:
            if on_terminal(sys.stdin):
                note("one line, then Enter:")
                text = sys.stdin.readline()
            else:
                text = sys.stdin.read() if sys.stdin else ""
        except UnicodeDecodeError as error:
            raise misuse("the prompt is not UTF-8", 'exo-supervisor chat "PROMPT"') from error
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise misuse("the prompt is not UTF-8", 'exo-supervisor chat "PROMPT"') from error
    if not text.strip():
        raise misuse("the prompt is empty", 'exo-supervisor chat "PROMPT"')
    return text if arguments.words else text.rstrip("\n")


def _headers(arguments: Arguments) -> dict[str, str]:
    asked = {
        "privacy": arguments.privacy,
        "route": arguments.route,
        "deadline": None if arguments.deadline is None else str(arguments.deadline),
    }
    headers = {f"x-supervisor-{name}": value for name, value in asked.items() if value}
    return {"content-type": "application/json", **headers}


def _only_ready(arguments: Arguments) -> str:
    """Take the one model that is ready (at Exo before cloud); several or none are an error."""
    known = objects(parse_object(fetch(arguments, "/supervisor/models")).get("models"))
    local = [] if arguments.route == "cloud" else _names(known, {"ready"})
    if local:
        found = local
    elif arguments.privacy or arguments.route == "exo":
        found = []
    else:
        found = _names([each for each in known if _in_a_cloud(each)], {"ready", "cloud"})
    if len(found) == 1:
        return found[0]
    if not found:
        raise VerbError("no model is ready", hint="exo-supervisor models")
    named = [cell(name) for name in found[:_MOST_NAMED]]
    more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    raise VerbError(
        f"{len(found)} models are ready, so one must be named",
        why=[", ".join([*named, *more])],
        hint=f"exo-supervisor chat --model {named[0]} ...",
        exit_code=2,
    )


def _names(models: Sequence[Fields], states: Collection[object]) -> list[str]:
    named = [each.get("id") for each in models if each.get("state") in states]
    return [name for name in named if isinstance(name, str) and name]


def _in_a_cloud(model: Fields) -> bool:
    """Tell whether a provider has it: a provider's name has no colon, a node's address has one."""
    targets = [text for where in objects(model.get("where")) for text in texts(where.get("target"))]
    return model.get("state") == "cloud" or any(":" not in target for target in targets)


def _not_whole(reply: Reply) -> VerbError:
    target = _served(reply, "target")
    why = reply.error or "it ended without its last word, [DONE]"
    if not reply.pieces:
        return VerbError(why, why=[f"from {target}"] if target else [], hint=_AGAIN)
    pieces = "1 piece" if reply.pieces == 1 else f"{reply.pieces} pieces"
    return VerbError(
        f"{target or 'the answer'} broke off after {pieces}; the text above is not whole",
        why=[why],
        hint=_AGAIN,
    )


def _who(reply: Reply, model: str, first: float | None, total: float) -> str:
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


def _served(reply: Reply, name: str) -> str:
    value = reply.served.get(name)
    return cell(str(value)) if value is not None else ""


def _awaited(arguments: Arguments, model: str, reply: Reply) -> str:
    """Say what the wait is for: the model's state where the service tells it."""
    limit = f"at most {span(arguments.deadline)}" if arguments.deadline else "Ctrl-C ends it"
    if reply.reasoning:
        return f"-- waiting: the model reasons ({limit})"
    what = "the first content"
    with suppress(VerbError, OSError):
        for each in objects(parse_object(fetch(arguments, "/supervisor/models")).get("models")):
            if each.get("id") == model and each.get("state") != "ready":
                far = [text for where in objects(each.get("where")) if (text := progress(where))]
                what = ", ".join([*texts(each.get("state")), *far[:1]]) or what
    return f"-- waiting: {what} ({limit})"
