"""How an attempt and a request can end, and what each end of an attempt means for what follows."""

from enum import Enum
from typing import Literal

from msgspec import Struct

from exo_supervisor.errors import SupervisorError

RefusedAs = Literal["failure", "neutral", "refused", "abandoned"]
"""What a refusal is in a log line; `neutral`: a target refused the request itself."""


class Outcome(Enum):
    """What an attempt's end says of whoever was asked."""

    SUCCESS = "success"
    FAILURE = "failure"
    BUSY = "busy"
    NEUTRAL = "neutral"
    ABANDONED = "abandoned"


class Blame(Enum):
    """Which of the two breakers a failure counts at."""

    TARGET = "target"
    MODEL = "model"
    NOBODY = "nobody"


class Next(Enum):
    """Where a request may go after this end of an attempt, before its commit."""

    NOWHERE = "nowhere"
    ELSEWHERE = "elsewhere"
    SAME_ONCE = "same_once"


class Verdict(Struct, frozen=True):
    """One row of the table of faults; `in_band` means that the target answered, badly."""

    outcome: Outcome
    blame: Blame
    next: Next
    in_band: bool = False


class Fault(Enum):
    """Everything that can end an attempt, under the name that logs and answers use.

    A member is its own and only self, so its address will do as a hash; Enum's own is a function
    of Python's, called at every look into a table of faults.
    """

    __hash__ = object.__hash__

    NONE = "none"
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    NOT_LOCAL = "not_local"
    TLS = "tls"
    RESET = "reset"
    RESET_EARLY = "reset_early"
    HEADERS_TIMEOUT = "headers_timeout"
    CONTENT_TYPE = "content_type"
    BAD_STATUS = "bad_status"
    PAYLOAD = "payload"
    MALFORMED = "malformed"
    OVERSIZED = "oversized"
    SERVER_ERROR = "server_error"
    ERROR_EVENT = "error_event"
    EMPTY = "empty"
    UNFINISHED = "unfinished"
    FIRST_CONTENT_TIMEOUT = "first_content_timeout"
    STALL = "stall"
    WRONG_MODEL = "wrong_model"
    STATE_LOST = "state_lost"
    BEGAN_ANEW = "began_anew"
    BUSY = "busy"
    NOT_PLACED = "not_placed"
    BAD_KEY = "bad_key"
    CONTEXT_LENGTH = "context_length"
    FIELD_REFUSED = "field_refused"
    UNSUPPORTED = "unsupported"
    DECLINED = "declined"
    REJECTED = "rejected"
    CLIENT_LEFT = "client_left"
    DEADLINE = "deadline"
    OVERLOADED = "overloaded"


NO_FAULT = Fault.NONE
"""To look a member up at its Enum takes Python 3.11 a thousand instructions."""
FAULT_NAMES = {fault: fault.value for fault in Fault}
"""To look a name up here is five times cheaper than an Enum's own `value`."""

_AT_TARGET = Verdict(Outcome.FAILURE, Blame.TARGET, Next.ELSEWHERE)
_AT_MODEL = Verdict(Outcome.FAILURE, Blame.MODEL, Next.ELSEWHERE)
_IN_BAND = Verdict(Outcome.FAILURE, Blame.MODEL, Next.ELSEWHERE, in_band=True)
_ELSEWHERE = Verdict(Outcome.NEUTRAL, Blame.NOBODY, Next.ELSEWHERE)
_LEFT = Verdict(Outcome.ABANDONED, Blame.NOBODY, Next.NOWHERE)

VERDICTS: dict[Fault, Verdict] = {
    Fault.NONE: Verdict(Outcome.SUCCESS, Blame.NOBODY, Next.NOWHERE),
    Fault.CONNECT: _AT_TARGET,
    Fault.CONNECT_TIMEOUT: _AT_TARGET,
    Fault.NOT_LOCAL: _AT_TARGET,
    Fault.TLS: _AT_TARGET,
    Fault.RESET: _AT_TARGET,
    Fault.RESET_EARLY: Verdict(Outcome.FAILURE, Blame.TARGET, Next.SAME_ONCE),
    Fault.HEADERS_TIMEOUT: _AT_TARGET,
    Fault.CONTENT_TYPE: _AT_TARGET,
    Fault.BAD_STATUS: _AT_TARGET,
    Fault.PAYLOAD: _AT_TARGET,
    Fault.MALFORMED: _AT_MODEL,
    Fault.OVERSIZED: _AT_TARGET,
    Fault.SERVER_ERROR: Verdict(Outcome.FAILURE, Blame.MODEL, Next.SAME_ONCE, in_band=True),
    Fault.ERROR_EVENT: _IN_BAND,
    Fault.EMPTY: _IN_BAND,
    Fault.UNFINISHED: _AT_MODEL,
    Fault.FIRST_CONTENT_TIMEOUT: _AT_MODEL,
    Fault.STALL: _AT_MODEL,
    Fault.WRONG_MODEL: _AT_MODEL,
    Fault.STATE_LOST: _AT_MODEL,
    Fault.BEGAN_ANEW: _ELSEWHERE,
    Fault.BUSY: Verdict(Outcome.BUSY, Blame.NOBODY, Next.ELSEWHERE),
    Fault.NOT_PLACED: _ELSEWHERE,
    Fault.BAD_KEY: _ELSEWHERE,
    Fault.CONTEXT_LENGTH: _ELSEWHERE,
    Fault.FIELD_REFUSED: _ELSEWHERE,
    Fault.UNSUPPORTED: _ELSEWHERE,
    Fault.DECLINED: _ELSEWHERE,
    Fault.REJECTED: Verdict(Outcome.NEUTRAL, Blame.NOBODY, Next.NOWHERE),
    Fault.CLIENT_LEFT: _LEFT,
    Fault.DEADLINE: _LEFT,
    Fault.OVERLOADED: _LEFT,
}

CLOSED_AT_WORK = frozenset(
    {
        Fault.CLIENT_LEFT,
        Fault.DEADLINE,
        Fault.OVERLOADED,
        Fault.HEADERS_TIMEOUT,
        Fault.FIRST_CONTENT_TIMEOUT,
        Fault.STALL,
        Fault.STATE_LOST,
        Fault.OVERSIZED,
        Fault.BEGAN_ANEW,
    }
)
"""Ends of an attempt at which we close a connection whose target may still be at work."""

TELLING = frozenset(
    {
        Fault.CONTEXT_LENGTH,
        Fault.FIELD_REFUSED,
        Fault.UNSUPPORTED,
        Fault.DECLINED,
        Fault.REJECTED,
    }
)
"""Faults that speak of the request: a client whom nobody served gets the target's own words."""


class Failure(Struct, frozen=True, gc=False):
    """Why an attempt ended without a whole answer; `retry_after` in seconds.

    `message` are the target's own words, made safe, which the client alone may read: they may
    repeat its prompt. `loggable` are those of them that may stand where others read, too. `field`
    is what was refused, where the request can be made without it. `of_key`: it is the key that was
    used too much, and not the target that has too much to do.
    """

    fault: Fault
    message: str = ""
    status: int = 0
    retry_after: float | None = None
    loggable: str = ""
    field: str = ""
    of_key: bool = False


SERVED = Failure(NO_FAULT)
"""No failure: the answer was whole."""


class Refusal(Struct, frozen=True, gc=False):
    """What a client is told instead of an answer; `param` is the field or header that is wrong.

    `retry_after`, in seconds, is for what mends itself; `allow` are the methods that a path takes.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None
    outcome: RefusedAs = "refused"
    allow: str | None = None


class BadRequestError(SupervisorError):
    """A client's request cannot be served as it stands."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def bad_request(code: str, message: str, param: str | None = None) -> BadRequestError:
    """Make the error of a request that is wrong in itself."""
    return BadRequestError(Refusal(400, code, message, param))
