"""What a dialect has to offer: of a client's side an Operation a path, of an upstream's a Dialect.

A folder of `wire` fills these in, and `table` lists them; whoever serves knows no more of it.
"""

import re
from collections.abc import Callable, Mapping
from math import inf
from types import MappingProxyType

from msgspec import Raw, Struct, field, structs

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.wire.chat.continuation import Transcript
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.piece import Writer
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.chat.request import Ask, ChatRequest, Kind


class Told(Refusal, frozen=True):
    """A refusal as a client is told it, in no dialect yet."""

    request_id: str = ""


def told(refusal: Refusal, request_id: str = "") -> Told:
    """Tell a client of a refusal."""
    return Told(**structs.asdict(refusal), request_id=request_id)


_NAMING = frozenset({"unsupported_field", "no_target", "budget_spent"})
"""Codes whose texts are ours, and name fields."""


def told_by(names: Mapping[str, str]) -> Callable[[Refusal, str], Told]:
    """Tell of a refusal by the names that a dialect's clients know our fields by."""
    ours = re.compile(rf"\b({'|'.join(names)})\b")

    def tell(refusal: Refusal, request_id: str = "") -> Told:
        said = told(refusal, request_id)
        if refusal.code not in _NAMING:
            return said
        message = ours.sub(lambda found: names[found[0]], said.message)
        param = said.param and names.get(said.param, said.param)
        return structs.replace(said, message=message, param=param)

    return tell


class StreamState(Struct, gc=False):
    """How far one client's stream is: its attempts' writers, and whoever waits, go on from there.

    `sent` counts events that are numbered, `opened` says that those that open a stream are out.
    """

    sent: int = 0
    opened: bool = False


class Reply(Struct, frozen=True, gc=False):
    """What a writer is told of the answer it writes; `model` is shown where no other is named.

    With `joined`, the client has a part of it from another target; `mark` is put beside its end.
    """

    request: str
    created: int
    model: str
    chat: ChatRequest
    state: StreamState = field(default_factory=StreamState)
    joined: bool = False
    transcript: Transcript | None = None
    mark: bytes = b""


class Framing(Struct, frozen=True):
    """How a client's dialect says what is no part of an answer."""

    dialect: str
    """What logs call it."""
    content_type: str
    """Of a stream."""
    error_body: Callable[[Told], bytes]
    error_event: Callable[[Told, Reply], bytes]
    """Ends a stream that breaks off."""
    keepalive: Callable[[Reply], bytes]
    """Shows a client that waits that somebody is at work."""
    served: Callable[[bytes, Reply], bytes]
    """Tells who serves, which is given as JSON, once the head went out without it."""
    id_header: str = ""
    """Has the request's id, beside x-request-id."""
    told: Callable[[Refusal, str], Told] = told
    blank_after: float = inf
    """Seconds after which a client that does not stream is shown, too, that somebody is at work."""


class Operation(Struct, frozen=True):
    """What clients may ask for at a path: how it is read, and both ways in which it is answered.

    A request is read out of its body and its headers, whose names are in lower case.
    """

    read: Callable[[bytes, Mapping[str, str]], ChatRequest]
    stream: Callable[[Reply], Writer]
    body: Callable[[Reply], Writer]
    framing: Framing
    defaults: Mapping[str, Raw] = MappingProxyType({})
    """Filled in where neither the client nor a configured row says otherwise."""


class Answered(Struct, frozen=True):
    """What clients may ask for at a path that is answered here: no target is asked.

    `answer` takes a body and returns one; it raises BadRequestError.
    """

    answer: Callable[[bytes], bytes]
    framing: Framing


class Dialect(Struct, frozen=True):
    """What one kind of upstream speaks: where and how it is asked, and who reads its answer.

    `headers` are all that an upstream gets with this key; those of a request in the same dialect
    are added to them.
    """

    url: Callable[[str, Kind], str]
    models_url: Callable[[str], str]
    encode: Callable[[ChatRequest, Ask], bytes]
    headers: Callable[[str | None], dict[str, str]]
    readers: Mapping[tuple[Kind, Media], type[Reader]]
