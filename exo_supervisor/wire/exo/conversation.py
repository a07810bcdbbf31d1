"""System messages in mid-conversation, as Exo is to be told of them.

Exo moves every system and developer message to the front of the prompt (its function
`consolidate_system_messages`). One that a client puts in between, as Claude Code does in nearly
every turn, would thereby change the beginning of the prompt, and all of it would be read anew. So
it is told as a text of the user's, in its place. It joins the user's message beside it: many
templates refuse two messages of the user in a row.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.untrusted_json import as_list, as_object

_SYSTEM: Final = ("system", "developer")
"""No set: what a client says its role is may have no hash."""
_FIRST: Final = (b'[{"role":"system"', b'[{"role": "system"')
"""How messages begin of which the first is the system's; the longer one stands last."""
_REMINDER = "<system-reminder>\n{}\n</system-reminder>"

Message = dict[str, Raw]


class _Role(Struct, gc=False):
    role: object = None


_roles = msgspec.json.Decoder(list[_Role])
_messages = msgspec.json.Decoder(list[Message])
_USER = Raw(b'"user"')


def in_place(messages: Raw) -> Raw:
    """Return messages of which those of the system stand at the front alone."""
    raw = bytes(messages)
    behind = len(_FIRST[-1]) if raw.startswith(_FIRST) else 0
    if raw.find(b'"system"', behind) < 0 and raw.find(b'"developer"') < 0:  # `in` costs more
        return messages
    system = [each.role in _SYSTEM for each in _roles.decode(messages)]
    head = system.index(False) if False in system else len(system)
    if not any(system[head:]):
        return messages
    told = _messages.decode(messages)
    return Raw(msgspec.json.encode(_placed(told, system, head)))


def _placed(told: list[Message], system: list[bool], head: int) -> list[Message]:
    placed, waiting, behind = told[:head], list[str](), list[str]()
    for message, is_system in zip(told[head:], system[head:], strict=True):
        if is_system and not _is_plain(message):
            _join_behind(placed, behind)
            placed += [*_alone(waiting), _as_users(message)]
            continue
        if is_system:
            text = _REMINDER.format(_text(message.get("content", NULL)))
            if _is_users(placed[-1]):
                behind.append(text)
            else:
                waiting.append(text)
            continue
        _join_behind(placed, behind)
        if waiting and _is_users(message):
            placed.append(_joined(message, ["\n\n".join(waiting)], after=False))
            waiting.clear()
        else:
            placed += _alone(waiting)
            placed.append(message)
    _join_behind(placed, behind)
    return placed + _alone(waiting)


def _is_plain(message: Message) -> bool:
    """Say whether there is nothing to it but its texts, which can be told within another's."""
    content: object = msgspec.json.decode(message.get("content", NULL))
    parts = map(as_object, as_list(content))
    beside = {name for name, raw in message.items() if raw != NULL} - {"role", "content"}
    odd = (part.keys() - {"type", "text"} or part.keys() == {"type"} for part in parts)
    return not beside and not any(odd)


def _as_users(message: Message) -> Message:
    """Tell it as a message of its own, with all that it has: whoever is asked takes that or not."""
    told = message.get("content", NULL)
    inner = bytes(told).strip()[1:-1] if bytes(told).strip().startswith(b"[") else b""
    first, last = _REMINDER.split("{}")
    marked = b"[%b,%b,%b]" % (_part(first), inner, _part(last))
    content = marked if inner.strip() else dumps(_REMINDER.format(_text(told)))
    return {**message, "role": _USER, "content": Raw(content)}


def _part(text: str) -> bytes:
    return dumps({"type": "text", "text": text})


def _join_behind(placed: list[Message], behind: list[str]) -> None:
    """Add the texts behind a user's message to it, all at once: it may be long."""
    if behind:
        placed[-1] = _joined(placed[-1], behind, after=True)
        behind.clear()


def _alone(waiting: list[str]) -> list[Message]:
    text = "\n\n".join(waiting)
    waiting.clear()
    return [{"role": _USER, "content": Raw(dumps(text))}] if text else []


def _is_users(message: Message) -> bool:
    return message.get("role") == _USER


def _joined(message: Message, texts: list[str], *, after: bool) -> Message:
    """Add texts to a user's message; a plain text stays one, for it is in the prompt as such."""
    told = bytes(message.get("content", NULL)).strip()
    if told.startswith(b"{"):  # Exo takes one part alone, too
        told = b"[%b]" % told
    if told.startswith(b'"'):
        text = "\n\n".join(texts)
        apart = f"\n\n{text}" if after else f"{text}\n\n"
        content = _spliced(told, dumps(apart)[1:-1], b"", after=after)
    elif told.startswith(b"["):
        part = b",".join(map(_part, texts))
        comma = b"," if told[1:-1].strip() else b""
        content = _spliced(told, part, comma, after=after)
    else:
        content = dumps("\n\n".join(texts))
    return {**message, "content": Raw(content)}


def _spliced(told: bytes, new: bytes, comma: bytes, *, after: bool) -> bytes:
    """Put JSON into a JSON text or list, at its end or its beginning."""
    if after:
        return told[:-1] + comma + new + told[-1:]
    return told[:1] + new + comma + told[1:]


def _text(content: Raw) -> str:
    told: object = msgspec.json.decode(content)
    if isinstance(told, str):
        return told
    texts = (as_object(part).get("text") for part in as_list(told) or [told])
    return "\n\n".join(text for text in texts if isinstance(text, str))
