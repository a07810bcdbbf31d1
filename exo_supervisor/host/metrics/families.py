"""All that is counted of requests and of what the core announces."""

from collections.abc import Callable
from functools import partial

from exo_supervisor.host.metrics.counts import Counter, Histogram

SECONDS = tuple(0.01 * 2**step for step in range(14))
"""Bounds of what is timed: 10 ms to 82 s, each twice the last, as in OpenTelemetry's GenAI."""
OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BETWEEN_TOKENS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)


class Families:
    """The families, in the order in which they are shown."""

    def __init__(self, settle: Callable[[], None]) -> None:
        count, spread = partial(Counter, settle=settle), partial(Histogram, settle=settle)
        where, by = ("model", "side"), ("provider",)
        ended = "dialect", "client", *where, "outcome"
        self.requests = count("requests", "Requests that ended, by how.", ended)
        self.errors = count("request_errors", "Requests that ended in an error.", ("code",))
        self.attempts = count("attempts", "Attempts at targets, retries included.", where)
        self.prompt = count("prompt_tokens", "Tokens of prompts, cached ones included.", where)
        self.cached = count("cached_tokens", "Tokens of prompts that a cache had.", where)
        self.generated = count("generation_tokens", "Tokens of answers.", where)
        text = "Events of answers that were no JSON and held no content."
        self.malformed = count("malformed_events", text, where)
        self.spent = count("spend_microdollars", "What providers ask for, by the price book.", by)
        text = "What the tokens of Exo's whole answers would have cost at the reference model."
        self.saved = count("saved_microdollars", text, ("model",))
        text = "Attempts that gave no answer."
        self.failed = count("attempt_failures", text, ("side", "fault"))
        self.left = count("egress_requests", "Requests of which anything left the house.", by)
        self.sent = count("egress_bytes", "Bytes that left the house.", by)
        text = "Moves of a model's traffic between Exo and cloud."
        self.shifts = count("shifts", text, ("from", "to", "reason"))
        self.transitions = count(
            "breaker_transitions", "Changes of breakers to a state.", ("side", "to")
        )
        self.events = count("events", "What was announced.", ("event", "level"))
        text = "From a request's arrival to the first content sent to its client."
        self.first = spread("time_to_first_token_seconds", text, where, SECONDS)
        text = "An answer's mean time from token to token, once a request."
        self.between = spread("inter_token_latency_seconds", text, where, BETWEEN_TOKENS)
        text = "From a request's arrival to its first attempt."
        self.queued = spread("queue_seconds", text, where, SECONDS)
        text = "Of a request's duration, what none of its targets was at work on: with all waits."
        self.overhead = spread("overhead_seconds", text, ("side",), OVERHEAD)
        text = "From a request's arrival to its end."
        self.duration = spread("request_duration_seconds", text, where, SECONDS)

    @property
    def counters(self) -> list[Counter]:
        """All sums."""
        return [each for each in vars(self).values() if isinstance(each, Counter)]

    @property
    def histograms(self) -> list[Histogram]:
        """All histograms."""
        return [each for each in vars(self).values() if isinstance(each, Histogram)]
