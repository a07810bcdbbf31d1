"""What becomes of a request and of its attempts."""

from collections.abc import Mapping
from typing import Literal

from exo_supervisor.core.events.base import BaseEvent
from exo_supervisor.core.load.allowance import Allowance
from exo_supervisor.core.names import (
    RequestId,
)
from exo_supervisor.core.outcomes import SERVED, Failure


class RequestArrived(BaseEvent, frozen=True, kw_only=True):
    """A client wants an answer.

    `deadline` is an instant, by which the answer must have begun; `demands` are the fields that
    change the answer and that some target ignores; `native_demands` are those of them that only a
    target of the client's own `dialect` can be asked for; `hazards` are those whose value ends some
    target, and the kind of that value; `size` are the bytes of the prompt; `draw` is a random
    number in [0, 1); `client` names the rule of who asks; `session` tells conversations apart,
    where it is not 0; `mid_turn`: the last word is a tool's, not the user's. `extent` are the bytes
    of all that it says, the tokens that it allows each answer, 0 for any number, how many answers
    it wants, and the field that asks for what has another price: one argument, since Python calls
    with over 15 names five times as slowly.
    """

    request: RequestId
    model: str
    deadline: float
    draw: float
    route: Literal["exo", "cloud"] | None = None
    local_only: bool = False
    demands: frozenset[str] = frozenset()
    native_demands: frozenset[str] = frozenset()
    dialect: str = "openai"
    hazards: Mapping[str, str] = {}
    size: int = 0
    client: str = "default"
    session: int = 0
    mid_turn: bool = False
    extent: tuple[int, int, int, str] = (0, 0, 1, "")


class ContentSeen(BaseEvent, frozen=True, kw_only=True):
    """An attempt brought its first content, `ttft` seconds after it began, and its head `head`.

    `allowances` are what its head told of how much more is taken there.
    """

    request: RequestId
    attempt: int
    ttft: float
    head: float | None = None
    allowances: tuple[Allowance, ...] = ()


class AttemptQuieted(BaseEvent, frozen=True, kw_only=True):
    """An attempt has made no progress for `silence` seconds, nor content if not `begun`."""

    request: RequestId
    attempt: int
    silence: float
    begun: bool


class AttemptSettled(BaseEvent, frozen=True, kw_only=True):
    """An attempt ended; every permit ever granted comes back in exactly one of these.

    `resumable`: what the client was told by now is a plain text that another target can go on with.
    `body` tells this request from others, where a provider declined it. `unsent`: the answer was
    whole, and its client has yet to take the end of it; a `RequestEnded` says that it is over.
    `tokens` are those of prompt and answer, as far as anybody told or saw them; `cost` is what is
    to be paid for it, in pico-units, None for nothing.
    """

    request: RequestId
    attempt: int
    draw: float
    failure: Failure = SERVED
    committed: bool = False
    resumable: bool = False
    unsent: bool = False
    body: int = 0
    tokens: int = 0
    cost: int | None = None


class RequestEnded(BaseEvent, frozen=True, kw_only=True):
    """The client left, whatever stage its request was in; or it has taken its whole answer.

    `tokens` and `cost` are those of an attempt that ends with it.
    """

    request: RequestId
    tokens: int = 0
    cost: int | None = None
