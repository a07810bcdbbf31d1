"""Messages of OpenAI's shape as turns of a Messages conversation.

Results of tools have to stand at the beginning of the turn that follows their calls, and one role's
messages in a row are one turn. What has no place in a turn is handed on as it came: the provider's
refusal names it, and nothing is lost in silence.
"""

from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.exo.conversation import in_place
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.untrusted_json import UNREADABLE

_SYSTEM: Final = (Raw(b'"system"'), Raw(b'"developer"'))
_ASSISTANT: Final = Raw(b'"assistant"')
_TOOLS: Final = (Raw(b'"tool"'), Raw(b'"function"'))
_NOTHING: Final = (NULL, Raw(b'""'), Raw(b"[]"))

Block = dict[str, object]

_list = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)


def system_and_turns(messages: Raw) -> tuple[list[Block], list[Block]]:
    """Return the blocks of the system prompt, and the turns.

    A system message in mid-conversation is told as a text of the user's in its place: hoisted, it
    would change the beginning of the prompt, and not every model takes it where it stands.
    """
    told = [members(each) for each in _list.decode(in_place(messages))]
    system = [message for message in told if message.get("role") in _SYSTEM]
    turns: list[tuple[str, list[Block]]] = []
    for message in told[len(system) :]:
        role, blocks = _turn(message)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    if turns and turns[-1][0] == "assistant":
        _trim(turns[-1][1])
    prompt = [block for message in system for block in _blocks(message.get("content", NULL))]
    return prompt, [{"role": role, "content": _ordered(blocks)} for role, blocks in turns]


def _turn(message: dict[str, Raw]) -> tuple[str, list[Block]]:
    role, content = message.get("role"), message.get("content", NULL)
    if role in _TOOLS:
        called = message.get("tool_call_id", message.get("name", NULL))
        result: Block = {"type": "tool_result", "tool_use_id": called}
        blocks = _blocks(content)
        return "user", [result | {"content": blocks} if blocks else result]
    if role == _ASSISTANT:
        calls = _list.decode(message.get("tool_calls", NULL)) if _has_calls(message) else []
        return "assistant", [*_blocks(content), *(_use(members(call)) for call in calls)]
    return "user", _blocks(content)


def _has_calls(message: dict[str, Raw]) -> bool:
    return bytes(message.get("tool_calls", NULL)).startswith(b"[")


def _ordered(blocks: list[Block]) -> list[Block]:
    """Put results of tools first, next to their calls; the order is kept otherwise."""
    results = [block for block in blocks if block.get("type") == "tool_result"]
    return results + [block for block in blocks if block.get("type") != "tool_result"]


def _blocks(content: Raw) -> list[Block]:
    """Return blocks of a message's content; empty texts, which are refused, are left out."""
    told = bytes(content)
    if content in _NOTHING:
        return []
    if not told.startswith(b"["):
        return [{"type": "text", "text": content}]
    found = (_block(members(part)) for part in _list.decode(content))
    return [block for block in found if block is not None]


def _block(part: dict[str, Raw]) -> Block | None:
    match bytes(part.get("type", NULL)):
        case b'"text"':
            return None if part.get("text", NULL) in _NOTHING else {**part}
        case b'"refusal"':
            return {"type": "text", "text": part.get("refusal", NULL)}
        case b'"image_url"':
            return _image(part)
        case _:
            return {**part}


def _image(part: dict[str, Raw]) -> Block:
    url = members(part.get("image_url", NULL)).get("url", NULL)
    text = _text.decode(url) if bytes(url).startswith(b'"') else ""
    head, comma, data = text.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media = head.removeprefix("data:").removesuffix(";base64")
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def _use(call: dict[str, Raw]) -> Block:
    """Return a call as a block; arguments that are no object are handed on under that name."""
    function = members(call.get("function", NULL))
    arguments = function.get("arguments", NULL)
    return {
        "type": "tool_use",
        "id": call.get("id", NULL),
        "name": function.get("name", NULL),
        "input": _input(arguments),
    }


def _input(arguments: Raw) -> object:
    if arguments in _NOTHING:
        return {}
    try:
        text = _text.decode(arguments).encode()
        msgspec.json.decode(text, type=dict[str, Raw])
    except UNREADABLE:
        return {"arguments": arguments}
    return Raw(text)


def _trim(blocks: list[Block]) -> None:
    """Take the blanks from the end of what the model is to go on with: they are refused."""
    last = blocks[-1].get("text")
    if isinstance(last, Raw) and bytes(last).startswith(b'"'):
        text = _text.decode(last).rstrip()
        if text:
            blocks[-1]["text"] = text
        else:
            blocks.pop()
