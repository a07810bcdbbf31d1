"""`inspect`: shows the next requests as they were asked, sent on and answered, and keeps none."""

import sys
import time
from collections.abc import Iterator

from exo_supervisor.cli.errors import misuse
from exo_supervisor.cli.http import asked, in_query, told
from exo_supervisor.cli.json_view import parse_object, seconds, stamp, word
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import SCREEN, clean, note, number, raw, relative, say
from exo_supervisor.client.http import Answer
from exo_supervisor.client.json_object import Fields, count, fields, objects

PATH = "/supervisor/inspect"
_MOST_LINES = 24
"""Lines of one body on a screen; `--json` has it whole."""


def inspect(arguments: Arguments) -> int:
    """Show requests until the time is over, or end the inspection that runs."""
    if arguments.words:
        return _stop(arguments)
    bounds = {"for": arguments.lasting, "next": arguments.next, "client": arguments.client}
    query = in_query({name: value for name, value in bounds.items() if value is not None})
    with asked(arguments, "POST", f"{PATH}?{query}", timeout=None) as answer:
        for line in _lines(answer):
            if arguments.json:
                raw(line)
            else:
                _show(parse_object(line))
    return 0


def _stop(arguments: Arguments) -> int:
    if arguments.words != ("stop",):
        said = f"inspect takes stop or nothing, got `{arguments.words[0]}`"
        raise misuse(said, "exo-supervisor inspect --for 10m")
    if (body := told(arguments, PATH, "DELETE")) is not None:
        ended = body.get("ended") is True
        say("inspection: ended, all of it is forgotten" if ended else "inspection: none runs")
    return 0


def _lines(answer: Answer) -> Iterator[bytes]:
    rest = b""
    for part in answer.parts():
        *whole, rest = (rest + part).split(b"\n")
        yield from filter(None, whole)


def _show(line: Fields) -> None:
    if begun := fields(line.get("inspection")):
        until = relative(stamp(begun.get("until")), time.time())
        whose = f" of client {word(begun.get('client'))}" if begun.get("client") else ""
        note(
            f"The next {count(begun.get('requests'))} requests{whose} are shown; this ends {until},"
            " or by Ctrl-C. Nothing is written to a disk."
        )
        if begun.get("local_only") is not True:
            note("What must stay in the house is not shown: root alone may look at that.")
    elif ended := fields(line.get("ended")):
        passed, dropped = count(ended.get("passed")), count(ended.get("dropped"))
        more = f", {passed} were local_only" if passed else ""
        more += f", {dropped} found no room" if dropped else ""
        note(f"Ended ({word(ended.get('why'))}): {count(ended.get('shown'))} shown{more}.")
    else:
        say(_request(fields(line.get("request"))))


def _request(request: Fields) -> str:
    line, answer = fields(request.get("line")), fields(request.get("answer"))
    first = f"== {word(line.get('request_id'))}  {word(line.get('model'))}"
    first += f", client {word(line.get('client'))}, {word(line.get('dialect'))}"
    asked_for = fields(request.get("asked"))
    lines = [first + (", local_only" if request.get("local_only") is True else "")]
    lines += _part("->", f"POST {word(asked_for.get('path'))}", asked_for)
    for each in objects(request.get("sent")):
        lines += _part("=>", f"{word(each.get('target'))}  {word(each.get('start'))}", each)
    code = f" {word(line.get('code'))}" if line.get("code") else ""
    ended = f"{word(line.get('status'))} {word(line.get('outcome'))}{code}"
    lines += _part("<-", f"{ended} after {seconds(line.get('duration')):.2f} s", answer)
    return "\n".join(lines)


def _part(mark: str, what: str, part: Fields) -> list[str]:
    """Write one side: what it is, its headers, and its body as far as a screen goes."""
    body = fields(part.get("body"))
    size, text = count(body.get("bytes")), body.get("text")
    pieces = count(body.get("pieces"))
    what += f", {number(size, sys.stdout)} B" + (f" in {pieces} pieces" if pieces > 1 else "")
    lines = [f"{mark} {what}"]
    lines += [
        f"   {word(name)}: {word(said)}" for name, said in fields(part.get("headers")).items()
    ]
    shown = clean(text if isinstance(text, str) else "").split("\n")
    folded = [piece for line in shown if line for piece in _folded(line)]
    lines += [f"   {piece}" for piece in folded[:_MOST_LINES]]
    if len(folded) > _MOST_LINES or body.get("cut") is True:
        lines.append("   ... --json shows more" + (", but not all" if body.get("cut") else ""))
    return [piece for line in lines for piece in _folded(line, SCREEN)]


def _folded(line: str, width: int = SCREEN - 3) -> list[str]:
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]
