"""What an attempt used and who answered it, as its target told, for the books and the log line."""

from collections.abc import Callable, Iterable

from exo_supervisor.core.books.price import Price, Tokens
from exo_supervisor.core.estimate import BYTES_A_TOKEN
from exo_supervisor.core.outcomes import Failure
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.views.request_done import AttemptDone, RequestLine
from exo_supervisor.wire.chat.piece import Usage
from exo_supervisor.wire.chat.reader import Reader

PriceOf = Callable[[str, str], Price | None]
"""What a model costs at a provider."""


def note(record: RequestLine, reading: Reader | None) -> None:
    """Note in a record what the last attempt's target told; of the ones before it nothing stays."""
    record.served_model = record.prompt_tokens = None
    record.completion_tokens = record.cached_tokens = None
    if reading is not None:
        record.served_model = reading.served_model
        record.prompt_tokens = reading.prompt_tokens
        record.completion_tokens = reading.completion_tokens
        record.cached_tokens = reading.cached_tokens
        record.malformed += reading.malformed


def tokens_of(reading: Reader | None, size: int) -> int:
    """Tell what an attempt used; what its target did not tell is reckoned, of a prompt's `size`."""
    if reading is None:
        return 0
    prompt, completion = reading.prompt_tokens, reading.completion_tokens
    if prompt is None:
        prompt = size // BYTES_A_TOKEN
    return prompt + (reading.tokens if completion is None else completion)


def attempt_done(
    attempt: Attempt, failure: Failure, arrived: float, now: float, price_of: PriceOf
) -> AttemptDone:
    """Put down what came of an attempt that ends now, for those who keep books."""
    start, reading = attempt.start, attempt.reading
    used = None if reading is None else reading.usage
    tokens = () if used is None else (
        used.prompt_tokens, used.completion_tokens, used.cached_tokens,
        used.cache_write_tokens, used.cache_write_1h_tokens, used.reasoning_tokens,
    )  # fmt: skip
    is_paid = start.generation is None and not start.local
    return AttemptDone(
        start.target, start.model, reading and reading.served_model, start.shift,
        attempt.began - arrived, now - arrived, attempt.head_after, attempt.ttft,
        failure.fault.value, failure.status, failure.loggable, *tokens, local=start.local,
        cost=_cost(used, price_of(start.target, start.model)) if used and is_paid else None,
    )  # fmt: skip


def _cost(used: Usage, price: Price | None) -> int | None:
    if price is None:
        return None
    return price.cost(
        Tokens(
            used.prompt_tokens, used.completion_tokens, used.cached_tokens,
            used.cache_write_tokens, used.cache_write_1h_tokens, used.reasoning_tokens,
        )
    )  # fmt: skip


def cost_of(tried: Iterable[AttemptDone]) -> int | None:
    """Sum up what is known to have been paid for a request, in millionths, rounded up; or None."""
    costs = [each.cost for each in tried if each.cost is not None]
    return -(-sum(costs) // 1_000_000) if costs else None
