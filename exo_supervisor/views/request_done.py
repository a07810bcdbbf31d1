"""What is told of a request at its end: one record, for all sinks that keep or count requests."""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from exo_supervisor.core.choice import ONLY, Choice
from exo_supervisor.core.names import Side
from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.core.trace import Trace

TOGETHER = 64
"""Requests that are counted at once, at most: those alike together, which takes half of what it
takes one by one. A sink that counts so does it before anybody reads its counts."""


class RequestLine(Struct, gc=False):
    """One POST to a dispatch route, filled in as things happen.

    The fields are the keys of its log line, in their order; `outcome` is empty until it is known.
    """

    request_id: str
    model: str | None = None
    served_model: str | None = None
    target: str | None = None
    attempts: int = 0
    shift: str | None = None
    status: int = 0
    outcome: str = ""
    code: str | None = None
    continued: int = 0
    ttft: float | None = None
    duration: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_microdollars: int | None = None
    client_uid: int | None = None
    client: str = "default"
    dialect: str = "openai"
    malformed: int = 0
    cached_tokens: int | None = None
    egress_bytes: int = 0
    egress: dict[str, int] | UnsetType = UNSET
    """Bytes that left the house, by the provider they went to; unset where none did."""
    local: bool | UnsetType = UNSET
    """Its target is a provider of the house; unset where it is none."""
    private: bool | UnsetType = UNSET
    """Nothing of it may leave the house; unset where it may."""

    def facts(self) -> dict[str, object]:
        """Return what is set, as its line has it."""
        return {name: fact for name, fact in asdict(self).items() if fact is not UNSET}

    def leave(self, provider: str, size: int) -> None:
        """Note what was sent out of the house: of each attempt its head and its body."""
        self.egress_bytes += size
        if isinstance(self.egress, UnsetType):
            self.egress = {provider: size}
        else:
            self.egress[provider] = self.egress.get(provider, 0) + size

    def refuse(self, refusal: Refusal) -> None:
        """Note that the client is told this instead of an answer."""
        self.outcome, self.code = refusal.outcome, refusal.code

    def abandon(self) -> None:
        """Note that the client left."""
        self.outcome = "abandoned"


def in_micros(seconds: float) -> float:
    """Round a time as a record keeps it; `round` by itself takes six times as long for digits."""
    return round(seconds * 1_000_000) / 1_000_000


class AttemptDone(Struct, frozen=True, gc=False):
    """One attempt of a request: where, when, and what came of it.

    `began` and `ended` are seconds from the request's arrival, `head` and `first` (content) from
    the attempt's own begin. Tokens are as its target counted them, or as they were reckoned where
    it told none; None where there was nothing to count. Money is in pico-units, None where nobody
    knows it.
    """

    target: str
    model: str
    """The id it goes by there."""
    served_model: str | None
    shift: str | None
    """Why it did not go to the first choice."""
    began: float
    ended: float
    head: float | None
    first: float | None
    fault: str
    """A `Fault`; `none`: a whole answer, `client_left`: nobody waited for it any more."""
    status: int
    message: str
    """The target's words, without what the request said."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    local: bool = False
    """Its target is a provider of the house."""
    cost: int | None = None
    """What its provider asks by the prices that held; None, too, where nobody is paid."""
    number: int = 0
    """The first attempt of a request is 1."""
    response_id: str | None = None
    """What its target calls the answer."""
    reported_cost: int | None = None
    """What its target says that it asks, always in dollars."""
    estimated: bool = False
    """Its tokens were reckoned, at least in part: an answer that is cut off is paid for, too."""
    local_cost: int | None = None
    """What the energy of Exo's nodes cost."""
    saved: int | None = None
    """What the same tokens would have cost elsewhere; of whole answers of Exo's only."""
    choice: Choice = ONLY
    """Why it went there."""
    connected: float | None = None
    """Seconds from its begin until a new connection stood; None: it had one, or got none."""
    silence: float = 0.0
    """Seconds of its longest silence, as the ticker saw it; 0 where that was under a second."""


class RequestDone(Struct, frozen=True, gc=False):
    """What is told at a request's end: its line, and its attempts in their order.

    `choice` tells why no target was asked, or no other one, where it was refused for that.
    """

    line: RequestLine
    tried: Sequence[AttemptDone] = ()
    choice: Choice | None = None
    session: int = 0
    """What stands for its conversation; 0: it names none."""
    kind: str = "chat"
    """Or `completions`, or `embeddings`."""
    streamed: bool = False
    """Its client asked for a stream."""
    trace: Trace | None = None
    """What its client says that it is a part of."""


def side_of(line: RequestLine) -> Side | None:
    """Tell on which side a request was served last; None where no target was asked."""
    if line.target is None:
        return None
    return "exo" if line.local is True or ":" in line.target else "cloud"


def target_side(target: object) -> Side:
    """Tell a target's side by its name: only a node's address has a colon."""
    return "exo" if ":" in str(target) else "cloud"
