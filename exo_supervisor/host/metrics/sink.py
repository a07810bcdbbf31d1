"""Counts what the service tells of: each request at its end, and what the core announces."""

from collections.abc import Callable

from msgspec import UNSET, Struct

from exo_supervisor.core.effects import Announce
from exo_supervisor.core.names import Side
from exo_supervisor.core.policy import Policy
from exo_supervisor.host.metrics.counts import MOST_SERIES, OTHER, Cells, Counter, Histogram, Sum
from exo_supervisor.views.request_done import (
    AttemptDone,
    RequestDone,
    side_of,
    target_side,
)

SECONDS = tuple(0.01 * 2**step for step in range(14))
"""Bounds of what is timed: 10 ms to 82 s, each twice the last, as in OpenTelemetry's GenAI."""
OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
BETWEEN_TOKENS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
_BREAKERS = {
    "breaker_opened": "open",
    "breaker_half_opened": "half_open",
    "breaker_closed": "closed",
}


class _Ended(Struct, frozen=True, gc=False):
    """The series of requests that end alike: they are found by one look, not by one each."""

    requests: Sum
    duration: Cells
    first: Cells
    between: Cells
    queued: Cells
    overhead: Cells


class _Tried(Struct, frozen=True, gc=False):
    """The series of attempts for one model at one side."""

    attempts: Sum
    prompt: Sum
    cached: Sum
    generated: Sum


class MetricsSink:
    """A sink. A `model` label says a name of the policy that holds; all others count as `other`."""

    name = "metrics"

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy
        self._read = Policy()
        self._named, self._house = frozenset[str](), frozenset[str]()
        self._ended: dict[tuple[str, ...], _Ended] = {}
        self._tried: dict[tuple[str, str], _Tried] = {}
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
        self.spent = Counter(
            "spend_microdollars", "What providers ask for, by the price book.", ("provider",)
        )
        self.saved = Counter(
            "saved_microdollars",
            "What the tokens of Exo's whole answers would have cost at the reference model.",
            ("model",),
        )
        self.failed = Counter(
            "attempt_failures", "Attempts that gave no answer.", ("side", "fault")
        )
        self.left = Counter(
            "egress_requests", "Requests of which anything left the house.", ("provider",)
        )
        self.sent = Counter("egress_bytes", "Bytes that left the house.", ("provider",))
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
        self.queued = Histogram(
            "queue_seconds", "From a request's arrival to its first attempt.", where, SECONDS
        )
        self.overhead = Histogram(
            "overhead_seconds",
            "Of a request's duration, what none of its targets was at work on: all waits included.",
            ("side",),
            OVERHEAD,
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
        """Count a request that ended, and each of its attempts."""
        if self._policy() is not self._read:
            self._look()
        line = record.line
        model = line.model if line.model is not None and line.model in self._named else OTHER
        side = side_of(line) or "none"
        labels = line.dialect, line.client, model, side, line.outcome
        series = self._ended.get(labels) or self._ended_as(labels)
        series.requests.figure += 1
        series.duration.observe(line.duration)
        if line.code is not None:
            self.errors.add((line.code,))
        if line.malformed:
            self.malformed.add((model, side), line.malformed)
        if line.ttft is not None:
            series.first.observe(line.ttft)
            if (tokens := line.completion_tokens or 0) > 1:
                series.between.observe(max(line.duration - line.ttft, 0.0) / (tokens - 1))
        if record.tried:
            at_work = 0.0
            for attempt in record.tried:
                self._attempted(model, attempt)
                at_work += attempt.ended - attempt.began
            series.queued.observe(record.tried[0].began)
            series.overhead.observe(max(line.duration - at_work, 0.0))
        if line.egress is not UNSET:
            for provider, size in line.egress.items():
                self.left.add((provider,))
                self.sent.add((provider,), size)

    def _ended_as(self, labels: tuple[str, str, str, str, str]) -> _Ended:
        where = labels[2:4]
        if len(self._ended) >= MOST_SERIES:
            self._ended.clear()
        self._ended[labels] = found = _Ended(
            self.requests.at(labels), self.duration.at(where), self.first.at(where),
            self.between.at(where), self.queued.at(where), self.overhead.at(where[1:]),
        )  # fmt: skip
        return found

    def _attempted(self, model: str, attempt: AttemptDone) -> None:
        where = model, "exo" if attempt.local or ":" in attempt.target else "cloud"
        series = self._tried.get(where) or self._tried_at(where)
        series.attempts.figure += 1
        if attempt.prompt_tokens:
            series.prompt.figure += attempt.prompt_tokens
        if attempt.cached_tokens:
            series.cached.figure += attempt.cached_tokens
        if attempt.completion_tokens:
            series.generated.figure += attempt.completion_tokens
        if attempt.cost is not None:
            self.spent.add((attempt.target,), attempt.cost / 1_000_000)
        if attempt.saved is not None:
            self.saved.add((model,), attempt.saved / 1_000_000)
        if attempt.fault not in ("none", "client_left"):
            self.failed.add((where[1], attempt.fault))

    def _tried_at(self, where: tuple[str, str]) -> _Tried:
        if len(self._tried) >= MOST_SERIES:
            self._tried.clear()
        self._tried[where] = found = _Tried(
            self.attempts.at(where), self.prompt.at(where),
            self.cached.at(where), self.generated.at(where),
        )  # fmt: skip
        return found

    def generated_by(self, side: Side) -> float:
        """Return how many tokens a side has generated."""
        return sum(figure for (_, by), figure in self.generated.sums.items() if by == side)

    def _look(self) -> None:
        """Read the names of the policy that holds now."""
        self._read = policy = self._policy()
        self._named = frozenset(rule.name for rule in policy.models)
        self._house = frozenset(cloud.name for cloud in policy.clouds if cloud.local)

    def announce(self, said: Announce) -> None:
        """Count what the core announces; some of it in figures of its own."""
        facts = said.facts
        self.events.add((said.name, said.level))
        if said.name == "traffic_shifted":
            self.shifts.add((str(facts["from"]), str(facts["to"]), str(facts["reason"])))
        elif (state := _BREAKERS.get(said.name)) is not None:
            self._look()
            target = facts["target"]
            side = "exo" if target in self._house else target_side(target)
            self.transitions.add((side, state))
