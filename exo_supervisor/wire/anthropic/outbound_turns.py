"""Messages of OpenAI's shape as turns of a Messages conversation.

Results of tools have to stand at the beginning of the turn that follows their calls, and one role's
messages in a row are one turn. What has no place in a turn is handed on as it came: the provider's
refusal names it, and nothing is lost in silence.
"""

from typing import Final, NamedTuple

import msgspec
from msgspec import Raw

from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import Fields
from exo_supervisor.wire.exo.conversation import in_place
from exo_supervisor.wire.lenient_json import members
from exo_supervisor.wire.untrusted_json import UNREADABLE

_SYSTEM: Final = (Raw(b'"system"'), Raw(b'"developer"'))
_ASSISTANT: Final = Raw(b'"assistant"')
_USER: Final = Raw(b'"user"')
_TOOLS: Final = (Raw(b'"tool"'), Raw(b'"function"'))
THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_details")
"""Where servers of chats put a thought; Messages take none but their own, by its signature."""
_NOTHING: Final = (NULL, Raw(b'""'), Raw(b"[]"))

_ASSISTANTS: Final = ("role", "content", "refusal", "function_call", "tool_calls", *THOUGHTS)

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
    turns: list[_Turn] = []
    for message in told[len(system) :]:
        turn = _turn(message)
        if turns and turns[-1].role == turn.role:
            turns[-1].blocks.extend(turn.blocks)
            turns[-1].rest.update(turn.rest)
        elif turn.blocks or turn.rest:
            turns.append(turn)
    if turns and turns[-1].role == "assistant" and turns[-1].blocks:
        _trim(turns[-1].blocks)
    prompt = [block for message in system for block in _prompt(message)]
    return prompt, [turn.told() for turn in turns]


class _Turn(NamedTuple):
    """Messages of one role in a row, and what is told of them beside."""

    role: str | Raw | None
    blocks: list[Block]
    rest: Fields

    def told(self) -> Block:
        """Put results of tools first, next to their calls; the order is kept otherwise."""
        ordered = sorted(self.blocks, key=lambda block: block.get("type") != "tool_result")
        return {**self.rest, "role": self.role, "content": ordered}


def _prompt(message: Fields) -> list[Block]:
    blocks, rest = _blocks(message.get("content", NULL)), beside(message, "role", "content")
    return [block | rest for block in blocks]


def _turn(message: Fields) -> _Turn:
    role, content = message.get("role"), message.get("content", NULL)
    if role in _TOOLS:
        return _Turn("user", [_result(message)], {})
    blocks = _blocks(content)
    if role != _ASSISTANT:
        who = "user" if role == _USER else role  # which nobody knows
        return _Turn(who, blocks, beside(message, "role", "content"))
    if (refusal := message.get("refusal", NULL)) not in _NOTHING:
        blocks.append({"type": "text", "text": refusal})
    if call := members(message.get("function_call", NULL)):  # its result goes by its name
        blocks.append(_use({"id": call.get("name", NULL), "function": message["function_call"]}))
    calls = message.get("tool_calls", NULL)
    if bytes(calls).startswith(b"["):
        blocks += (_use(members(call)) for call in _list.decode(calls))
    return _Turn("assistant", blocks, beside(message, *_ASSISTANTS))


def _result(message: Fields) -> Block:
    called = message.get("tool_call_id", message.get("name", NULL))
    blocks = _blocks(message.get("content", NULL))
    rest = beside(message, "role", "content", "tool_call_id", "name")
    result: Block = {"type": "tool_result", "tool_use_id": called, **rest}
    return result | {"content": blocks} if blocks else result


def beside(told: Fields, *names: str) -> Fields:
    """Return the members but those of these names, or without a value: they are handed on."""
    return {name: raw for name, raw in told.items() if name not in names and raw not in _NOTHING}


def _blocks(content: Raw) -> list[Block]:
    """Return blocks of a message's content; empty texts, which are refused, are left out."""
    told = bytes(content)
    if content in _NOTHING:
        return []
    if not told.startswith(b"["):
        return [{"type": "text", "text": content}]
    found = (_block(members(part)) for part in _list.decode(content))
    return [block for block in found if block is not None]


def _block(part: Fields) -> Block | None:
    part.pop("prompt_cache_breakpoint", None)
    match bytes(part.get("type", NULL)):
        case b'"text"':
            return None if part.get("text", NULL) in _NOTHING else {**part}
        case b'"refusal"':
            rest = beside(part, "type", "refusal")
            return {"type": "text", "text": part.get("refusal", NULL), **rest}
        case b'"image_url"':
            return _image(part)
        case _:
            return {**part}


def _image(part: Fields) -> Block:
    """Return an image, which Messages see in full detail whatever was asked for."""
    told = members(part.get("image_url", NULL))
    url, rest = told.get("url", NULL), beside(told, "url", "detail")
    text = _text.decode(url) if bytes(url).startswith(b'"') else ""
    head, comma, data = text.partition(",")
    source: Block = {"type": "url", "url": url}
    if head.startswith("data:") and head.endswith(";base64") and comma:
        media = head.removeprefix("data:").removesuffix(";base64")
        source = {"type": "base64", "media_type": media, "data": data}
    return {"type": "image", "source": source | rest, **beside(part, "type", "image_url")}


def _use(call: Fields) -> Block:
    """Return a call as a block; arguments that are no object are handed on under that name."""
    function = members(call.get("function", NULL))
    if not function:
        return {**call}
    return {
        "type": "tool_use",
        "id": call.get("id", NULL),
        "name": function.get("name", NULL),
        "input": _input(function.get("arguments", NULL)),
        **beside(call, "type", "id", "function", "index"),
        **beside(function, "name", "arguments", "id"),
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
