"""What an attempt used and who answered it, as its target told, for the books and the log line."""

from exo_supervisor.core.requests.rates import BYTES_OF_A_TOKEN
from exo_supervisor.views.request_done import RequestDone
from exo_supervisor.wire.chat.reader import Reader


def note(record: RequestDone, reading: Reader | None) -> None:
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
        prompt = size // BYTES_OF_A_TOKEN
    return prompt + (reading.tokens if completion is None else completion)
