"""One circuit breaker. Pure: the clock is an argument and the answer is a value.

Consecutive failures trip it. A trip starts an epoch, and an outcome that quotes an older epoch
changes nothing, so a straggler from before the trip can neither close nor extend it. Rests double
up to a cap while probes keep failing. Half-open lets exactly one attempt through; if nothing can
be learnt from it, the slot goes back.

**When a probe goes out.** A breaker trips after so many failures in a row and rests. It is no timer
that ends the rest and no request of our own that tries: generating tokens to see whether somebody
is well is forbidden. A probe is the next request that comes by once `until` has passed, and it is a
client's, so it must not be risked lightly:

- Two breakers guard each candidate, and an attempt takes both permits or none. `may_admit` asks
  both first, so that no probe slot is taken at one while the other refuses.
- Exactly one goes out. Half-open admits nobody else; its outcome closes the breaker or opens it
  for a rest twice as long (with jitter, up to a cap, never shorter than what was left).
- A probe from which nothing is learnt (its client left, the target was busy, the fault was
  another's) gives the slot back: the rest was over, so the next request may probe at once.
- What a model failed at before its content is held until the request ends (`HeldFailure`): it
  counts when another cluster or provider then answers the same request, else the fault may be the
  request's own, and nothing was learnt. So a probe's slot may be taken until then, and a house with
  one cluster and no provider never trips by such faults.
- First content is the success, not the end: an answer may take minutes, in which all the others
  would go elsewhere. If that attempt fails after it, the failures which its content had wiped out
  count again (`owed`), or a target that dies in every answer would never trip.
- It goes out sooner in two cases. A cheap check (`/node_id`) that sees a *target* come back ends
  its rest; it never ends a *model's*, since a dead instance answers every cheap check. And where
  no tier offers a request a step, it has made no attempt, and a breaker was the reason at one tier
  at least, it probes the one whose rest ends first (`next_step`: panic): without it, it would be
  refused unasked, or wait.
- It goes out later where a failover is free: a request that has failed once prefers a target whose
  breaker is closed, and does not spend its second chance on somebody else's recovery.
- What closes opens slowly: 1, 2, then 4 attempts at a time for five seconds each, or a queue that
  has waited for it would knock it over again.

A trip begins an epoch, and a permit quotes the epoch it was granted in: who began before the trip
speaks of the time before it, and changes nothing. An operator's decree stands above all this and is
not the automaton's business: what happens under it is recorded, and counts when it ends.
"""

from enum import Enum

from msgspec import Struct, structs


class Mark(Enum):
    """What one attempt says to one breaker."""

    SUCCESS = "success"
    FAILURE = "failure"
    ABANDONED = "abandoned"


class Reason(Enum):
    """The rule that made the last transition."""

    NONE = "none"
    TRIP_AFTER = "trip_after"
    PROBE_FAILED = "probe_failed"
    PROBE_SENT = "probe_sent"
    OPERATOR = "operator"


class Rules(Struct, frozen=True):
    """When to trip (failures in a row) and how long to rest (seconds)."""

    trip_after: int = 3
    rest: float = 10.0
    rest_max: float = 120.0


class Closed(Struct, frozen=True, tag="closed"):
    """Traffic flows; failures in a row are counted."""

    epoch: int = 0
    failures: int = 0


class Open(Struct, frozen=True, tag="open"):
    """Traffic is refused; from `until` on, one probe may pass. `trips` rests came before."""

    epoch: int
    until: float
    trips: int = 1
    reason: Reason = Reason.TRIP_AFTER


class HalfOpen(Struct, frozen=True, tag="half_open"):
    """One probe is out, and its outcome decides. `until` is when the rest ended, or would have."""

    epoch: int
    until: float
    trips: int


Breaker = Closed | Open | HalfOpen


def may_admit(b: Breaker, now: float) -> bool:
    """Say whether `admit` would grant a permit."""
    return isinstance(b, Closed) or (isinstance(b, Open) and now >= b.until)


def admit(b: Breaker, now: float) -> tuple[Breaker, int | None]:
    """Ask for one attempt. The permit is the epoch its outcome must quote; None is a refusal."""
    match b:
        case Closed():
            return b, b.epoch
        case Open(until=until) if now >= until:
            return probe(b)
        case Open() | HalfOpen():
            return b, None


def probe(b: Breaker) -> tuple[Breaker, int | None]:
    """Ask for one attempt although the rest is not over; None while another probe is out."""
    match b:
        case Closed():
            return b, b.epoch
        case Open():
            return HalfOpen(b.epoch, b.until, b.trips), b.epoch
        case HalfOpen():
            return b, None


def settle(
    b: Breaker, permit: int, mark: Mark, now: float, *, rules: Rules, jitter: float, owed: int = 0
) -> Breaker:
    """Record what an attempt says. `jitter`, in [0, 1), lengthens a rest by up to a fifth.

    `owed` are the failures that this very attempt's first content had wiped out: if it then dies,
    they count again, or a target that dies in every answer would never trip.
    """
    if mark is Mark.FAILURE and isinstance(b, Closed) and b.failures < owed:
        b = Closed(b.epoch, owed)
    match b, mark:
        case _ if permit != b.epoch:
            return b
        case Closed(failures=n), Mark.FAILURE if n + 1 < rules.trip_after:
            return Closed(b.epoch, n + 1)
        case Closed(), Mark.FAILURE:
            return Open(b.epoch + 1, now + _rest(0, rules, jitter))
        case HalfOpen(trips=n), Mark.FAILURE:
            until = max(b.until, now + _rest(n, rules, jitter))  # a failure never shortens a rest
            return Open(b.epoch + 1, until, n + 1, Reason.PROBE_FAILED)
        case HalfOpen(), Mark.ABANDONED:  # nothing was learnt: the next request may probe
            return rested(b)
        case ((Closed() | HalfOpen()), Mark.SUCCESS):
            return Closed(b.epoch)
        case (Closed(), Mark.ABANDONED) | (Open(), _):
            return b


def hasten(b: Breaker, now: float) -> Breaker:
    """End a rest early, because a cheap check has seen the target come back."""
    match b:
        case Open(until=until) if until > now:
            return Open(b.epoch, now, b.trips, b.reason)
        case _:
            return b


def rested(b: Breaker) -> Breaker:
    """Take back a probe that taught nothing, or that belongs to another breaker."""
    match b:
        case HalfOpen(trips=n):
            reason = Reason.PROBE_FAILED if n > 1 else Reason.TRIP_AFTER
            return Open(b.epoch, b.until, n, reason)
        case _:
            return b


def worse(a: Breaker, b: Breaker) -> Breaker:
    """Keep the sicker of two when the things they guard become one."""
    return max(a, b, key=_badness)


def in_place_of(other: Breaker, b: Breaker) -> Breaker:
    """Put a breaker in another's place: the permits of both are of an older epoch from now on."""
    return structs.replace(b, epoch=max(b.epoch, other.epoch) + 1)


def _badness(b: Breaker) -> tuple[int, float]:
    match b:
        case Closed(failures=n):
            return 0, n
        case HalfOpen():
            return 1, b.until
        case Open():
            return 2, b.until


def _rest(trips: int, rules: Rules, jitter: float) -> float:
    """Say how long to rest; at the most that is configured there is no jitter.

    Jitter keeps several supervisors from probing one target at once. A rest that has grown to the
    most began when the probe before it failed, at an instant that the shorter rests' jitter has
    spread already, and so has chance, since a probe is the next request that comes by; resting
    equally long keeps them apart. Of one supervisor one probe goes out, whatever else rests. And a
    person who set a most was promised that nothing rests for longer.
    """
    grown = rules.rest * 2.0 ** min(trips, 32)
    return min(rules.rest_max, grown * (1.0 + 0.2 * jitter))
