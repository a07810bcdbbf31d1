"""Counts what the service tells of: each request at its end, and what the core announces."""

from collections.abc import Callable

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.policy import Policy
from exo_supervisor.host.metrics.counts import OTHER, Counter, Histogram
from exo_supervisor.views.request_done import RequestDone, side_of, target_side

SECONDS = tuple(0.01 * 2**step for step in range(14))
"""Bounds of what is timed: 10 ms to 82 s, each twice the last, as in OpenTelemetry's GenAI."""
BETWEEN_TOKENS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
_BREAKERS = {
    "breaker_opened": "open",
    "breaker_half_opened": "half_open",
    "breaker_closed": "closed",
}


class MetricsSink:
    """A sink. A `model` label says a name of the policy that holds; all others count as `other`."""

    name = "metrics"

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy
        self._read, self._named = Policy(), frozenset[str]()
        where = ("model", "side")
        self.requests = Counter(
            "requests", "Requests that ended, by how.", ("dialect", "client", *where, "outcome")
        )
        self.errors = Counter("request_errors", "Requests that ended in an error.", ("code",))
        self.attempts = Counter("attempts", "Attempts at targets, retries included.", where)
        self.prompt = Counter("prompt_tokens", "Tokens of prompts, cached ones included.", where)
        self.cached = Counter("cached_tokens", "Tokens of prompts that a cache had.", where)
        self.generated = Counter("generation_tokens", "Tokens of answers.", where)
        self.malformed = Counter(
            "malformed_events", "Events of answers that were no JSON and held no content.", where
        )
        self.failed = Counter("attempt_failures", "Attempts that failed.", ("side", "fault"))
        self.shifts = Counter(
            "shifts", "Moves of a model's traffic between Exo and cloud.", ("from", "to", "reason")
        )
        self.transitions = Counter(
            "breaker_transitions", "Changes of breakers to a state.", ("side", "to")
        )
        self.events = Counter("events", "What was announced.", ("event", "level"))
        self.first = Histogram(
            "time_to_first_token_seconds",
            "From a request's arrival to the first content sent to its client.",
            where,
            SECONDS,
        )
        self.between = Histogram(
            "inter_token_latency_seconds",
            "An answer's mean time from token to token, once a request.",
            where,
            BETWEEN_TOKENS,
        )
        self.duration = Histogram(
            "request_duration_seconds", "From a request's arrival to its end.", where, SECONDS
        )

    @property
    def counters(self) -> list[Counter]:
        """All sums, in the order in which they are shown."""
        return [each for each in vars(self).values() if isinstance(each, Counter)]

    @property
    def histograms(self) -> list[Histogram]:
        """All histograms, in the order in which they are shown."""
        return [each for each in vars(self).values() if isinstance(each, Histogram)]

    def done(self, record: RequestDone) -> None:
        """Count a request that ended."""
        where = (self._model(record), side_of(record) or "none")
        self.requests.add((record.dialect, record.client, *where, record.outcome))
        if record.code is not None:
            self.errors.add((record.code,))
        if record.attempts:
            self.attempts.add(where, record.attempts)
        if record.prompt_tokens:
            self.prompt.add(where, record.prompt_tokens)
        if record.cached_tokens:
            self.cached.add(where, record.cached_tokens)
        if record.completion_tokens:
            self.generated.add(where, record.completion_tokens)
        if record.malformed:
            self.malformed.add(where, record.malformed)
        self.duration.observe(where, record.duration)
        if record.ttft is not None:
            self.first.observe(where, record.ttft)
            if (tokens := record.completion_tokens or 0) > 1:
                rest = max(record.duration - record.ttft, 0.0)
                self.between.observe(where, rest / (tokens - 1))

    def _model(self, record: RequestDone) -> str:
        if (policy := self._policy()) is not self._read:
            self._read, self._named = policy, frozenset(rule.name for rule in policy.models)
        model = record.model
        return model if model is not None and model in self._named else OTHER

    def announce(self, said: Announce) -> None:
        """Count what the core announces; some of it in figures of its own."""
        facts = said.facts
        self.events.add((said.name, said.level))
        if said.name == "attempt_failed":
            left_out = facts.get("left_out", 0)  # many of a kind are told of in one
            told = 1 + (left_out if isinstance(left_out, int) else 0)
            self.failed.add((target_side(facts["target"]), str(facts["fault"])), told)
        elif said.name == "traffic_shifted":
            self.shifts.add((str(facts["from"]), str(facts["to"]), str(facts["reason"])))
        elif (state := _BREAKERS.get(said.name)) is not None:
            self.transitions.add((target_side(facts["target"]), state))
