"""Server-sent events as the service sends them: what was said, and who said it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from exo_supervisor.cli.body import Fields, count, fields, objects

_SERVED = "supervisor "


@dataclass(slots=True)
class Reply:
    """What is known of one answer so far: `done` at its last word, else perhaps the `error`.

    `open_line` tells that the text written so far does not end in a newline.
    """

    served: Fields
    text: list[str] = field(default_factory=list[str])
    tokens: int = 0
    reasoning: bool = False
    finish: str = ""
    error: str = ""
    done: bool = False
    open_line: bool = False


def contents(lines: Iterable[bytes], reply: Reply) -> Iterator[str]:
    """Yield the content as it comes and note everything else in `reply`.

    Ends at `[DONE]`, at an error event, or where the lines end.
    """
    data: list[str] = []
    for line in lines:
        text = line.decode("utf-8", "replace")
        if text.startswith(":"):
            _comment(text[1:].strip(), reply)
        elif text.startswith("data:"):
            data.append(text[5:].removeprefix(" "))
        elif not text and data:
            yield from _event("\n".join(data), reply)
            data.clear()
            if reply.done or reply.error:
                return
    if data:
        yield from _event("\n".join(data), reply)


def _comment(text: str, reply: Reply) -> None:
    if text.startswith(_SERVED):
        reply.served.update(_object(text.removeprefix(_SERVED)))


def _event(data: str, reply: Reply) -> Iterator[str]:
    if data.strip() == "[DONE]":
        reply.done = True
        return
    event = _object(data)
    if event.get("error"):
        said = fields(event["error"]).get("message")
        reply.error = said if isinstance(said, str) and said else "it sent an error"
        return
    reply.tokens = count(fields(event.get("usage")).get("completion_tokens")) or reply.tokens
    for choice in objects(event.get("choices"))[:1]:
        finish = choice.get("finish_reason")
        reply.finish = finish if isinstance(finish, str) else reply.finish
        delta = fields(choice.get("delta"))
        reply.reasoning |= bool(delta.get("reasoning_content") or delta.get("reasoning"))
        content = delta.get("content")
        if isinstance(content, str) and content:
            reply.text.append(content)
            reply.open_line = not content.endswith("\n")
            yield content


def _object(text: str) -> Fields:
    """Read a JSON object; one that is none says nothing."""
    try:
        return fields(cast("object", json.loads(text)))
    except (ValueError, RecursionError):
        return {}
