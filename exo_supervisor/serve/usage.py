"""What an attempt used and who answered it, as its target told, for the books and the log line."""

from collections.abc import Iterable

from msgspec import structs

from exo_supervisor.core.books.price import Tokens
from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.estimate import BYTES_A_TOKEN
from exo_supervisor.core.outcomes import FAULT_NAMES, SERVED, Failure, Fault
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.serve.context import Context
from exo_supervisor.views.request_done import AttemptDone, RequestLine, in_micros
from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.chat.reader import Reader

_CUT = frozenset({
    Fault.HEADERS_TIMEOUT, Fault.RESET, Fault.STALL, Fault.FIRST_CONTENT_TIMEOUT, Fault.CLIENT_LEFT,
    Fault.DEADLINE, Fault.OVERLOADED, Fault.OVERSIZED, Fault.STATE_LOST,
})  # fmt: skip
"""Ends of which the target did not tell itself: it may have read the prompt, and be paid for it."""
_NOTHING = Usage(0, 0, 0)


def note(record: RequestLine, attempt: Attempt, arrived: float) -> None:
    """Note in a record what the last attempt's target told; of the ones before it nothing stays."""
    relay, reading = attempt.relay, attempt.relay.reading
    if relay.ttft is not None:
        record.ttft = in_micros(attempt.began - arrived + relay.ttft)
    told = None if reading is None else reading.usage
    record.served_model = None if reading is None else reading.served_model
    record.prompt_tokens = told and told.prompt_tokens
    record.completion_tokens = told and told.completion_tokens
    record.cached_tokens = told and told.cached_tokens
    if reading is not None and reading.malformed:
        record.malformed += reading.malformed


def attempt_done(
    attempt: Attempt, failure: Failure, size: int, arrived: float, context: Context
) -> AttemptDone:
    """Put down what came of an attempt that ends now, for those who keep books.

    `size` are the bytes of its prompt.
    """
    start, relay, now = attempt.start, attempt.relay, context.clock()
    reading = relay.reading
    is_paid = start.generation is None and not start.local
    used, estimated = None, False
    if reading is not None:
        used, estimated = _used(reading, failure, size)
    elif is_paid and attempt.given and attempt.head_after is None and failure.fault in _CUT:
        used, estimated = _reckoned(size, 0), True
    told = _NOTHING if used is None else used
    # By their places: over 15 names in a call cost more than all that is reckoned here.
    return AttemptDone(
        start.target, start.model, reading and reading.served_model, start.shift,
        attempt.began - arrived, now - arrived, attempt.head_after, relay.ttft,
        FAULT_NAMES[failure.fault], failure.status, failure.loggable,
        used and used.prompt_tokens, used and used.completion_tokens, told.cached_tokens,
        told.cache_write_tokens, told.cache_write_1h_tokens, told.reasoning_tokens, start.local,
        _cost(used, context, start.target, start.model) if used and is_paid else None,
        start.attempt, reading and reading.response_id, told.reported_cost, estimated,
        attempt.local_cost, _saved(used, failure, start, context), start.choice,
        attempt.connected, attempt.silence(now),
    )  # fmt: skip


def _used(reading: Reader, failure: Failure, size: int) -> tuple[Usage | None, bool]:
    """Return what an answer used, as far as anybody told or saw it, and whether it was reckoned."""
    told = reading.usage
    if told is not None and failure is SERVED:
        return told, False
    seen = reading.reckoned
    if told is None and (reading.content or failure.fault in _CUT):
        return _reckoned(size, seen), True
    if told is None or told.completion_tokens >= seen:
        return told, False
    return structs.replace(told, completion_tokens=seen), True  # it was told before the end


def _reckoned(size: int, completion: int) -> Usage:
    prompt = size // BYTES_A_TOKEN
    return Usage(prompt, completion, prompt + completion)


def _saved(
    used: Usage | None, failure: Failure, start: StartAttempt, context: Context
) -> int | None:
    """Return what an answer would have cost elsewhere: a whole one of Exo's, and no other."""
    if context.reference is None or used is None or start.generation is None:
        return None
    return _cost(used, context, *context.reference) if failure is SERVED else None


def _cost(used: Usage, context: Context, provider: str, model: str) -> int | None:
    price = context.price_of(provider, model)
    if price is None:
        return None
    return price.cost(
        Tokens(
            used.prompt_tokens, used.completion_tokens, used.cached_tokens,
            used.cache_write_tokens, used.cache_write_1h_tokens, used.reasoning_tokens,
        )
    )  # fmt: skip


def tokens_of(done: AttemptDone) -> int:
    """Tell what an attempt used, for what its client may use a minute."""
    return (done.prompt_tokens or 0) + (done.completion_tokens or 0)


def cost_of(tried: Iterable[AttemptDone]) -> int | None:
    """Sum up what is known to have been paid for a request, in millionths, rounded up; or None."""
    paid = None
    for each in tried:
        if each.cost is not None:
            paid = each.cost + (paid or 0)
    return None if paid is None else -(-paid // 1_000_000)
