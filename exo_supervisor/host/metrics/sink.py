"""Counts what the service tells of: each request at its end, and what the core announces.

Requests are counted many at a time, those alike together, and before anybody reads a figure.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from msgspec import UNSET

from exo_supervisor.core.breakers.transitions import STATES
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.names import Side
from exo_supervisor.core.policy import Policy
from exo_supervisor.host.metrics.counts import OTHER
from exo_supervisor.host.metrics.families import Families
from exo_supervisor.views.request_done import (
    TOGETHER,
    AttemptDone,
    RequestDone,
    RequestLine,
    side_of,
    target_side,
)

_NO_FAULTS = frozenset({"none", "client_left"})
_MICRO = 1_000_000
"""Pico-units of money in a millionth."""
_Times = list[float]
_Ended = tuple[str, str, str, str, str]
"""What those that are counted together have alike: dialect, client, model, side and outcome."""


class MetricsSink:
    """A sink. A `model` label says a name of the policy that holds; all others count as `other`."""

    name = "metrics"

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self.families = Families(self._settle)
        self._policy = policy
        self._read = Policy()
        self._named, self._house = frozenset[str](), frozenset[str]()
        self._new: list[RequestDone] = []
        self._alike: dict[_Ended, list[RequestDone]] = {}

    def done(self, record: RequestDone) -> None:
        """Take in a request that ended; it is counted before long, and before anybody reads."""
        if self._policy() is not self._read:
            self._look()
        self._new.append(record)
        if len(self._new) >= TOGETHER:
            self._settle()

    def announce(self, said: Announce) -> None:
        """Count what the core announces; some of it in figures of its own."""
        facts = said.facts
        self.families.events.add((said.name, said.level))
        if said.name == "traffic_shifted":
            self.families.shifts.add((str(facts["from"]), str(facts["to"]), str(facts["reason"])))
        elif (state := STATES.get(said.name)) is not None:
            self._look()
            target = facts["target"]
            side = "exo" if target in self._house else target_side(target)
            self.families.transitions.add((side, state))

    def generated_by(self, side: Side) -> float:
        """Return how many tokens a side has generated."""
        return sum(figure for (_, by), figure in self.families.generated.sums.items() if by == side)

    def _look(self) -> None:
        """Read the names of the policy that holds now; what ended before it counts by the last."""
        self._settle()
        self._read = policy = self._policy()
        self._named = frozenset(rule.name for rule in policy.models)
        self._house = frozenset(cloud.name for cloud in policy.clouds if cloud.local)

    def _settle(self) -> None:
        """Count what is not counted yet."""
        new, self._new = self._new, []
        for record in new:
            line = record.line
            model = line.model if line.model is not None and line.model in self._named else OTHER
            ended = line.dialect, line.client, model, side_of(line) or "none", line.outcome
            self._alike.setdefault(ended, []).append(record)
        while self._alike:  # a fault of ours costs those alike, and the next reader the others not
            ended = next(iter(self._alike))
            records = self._alike.pop(ended)
            self.families.requests.add(ended, len(records))
            self._count_ends(ended[2], ended[3], [record.line for record in records])
            self._count_tries(ended[2], ended[3], [each for each in records if each.tried])

    def _count_ends(self, model: str, side: str, lines: Sequence[RequestLine]) -> None:
        where = model, side
        durations: _Times = []
        first: _Times = []
        between: _Times = []
        left: defaultdict[str, list[int]] = defaultdict(list)
        for line in lines:
            durations.append(line.duration)
            if (spoke := line.ttft) is not None:
                first.append(spoke)
                if (tokens := line.completion_tokens) is not None and tokens > 1:
                    rest = line.duration - spoke
                    between.append(rest / (tokens - 1) if rest > 0 else 0.0)
            if line.code is not None:
                self.families.errors.add((line.code,))
            if line.malformed:
                self.families.malformed.add(where, line.malformed)
            if line.egress is not UNSET:
                for provider, size in line.egress.items():
                    left[provider].append(size)
        self.families.duration.observe(where, durations)
        self.families.first.observe(where, first)
        self.families.between.observe(where, between)
        for provider, sizes in left.items():
            self.families.left.add((provider,), len(sizes))
            self.families.sent.add((provider,), sum(sizes))

    def _count_tries(self, model: str, side: str, records: Sequence[RequestDone]) -> None:
        queued: _Times = []
        overhead: _Times = []
        at: defaultdict[str, list[AttemptDone]] = defaultdict(list)
        for record in records:
            queued.append(record.tried[0].began)
            idle = record.line.duration
            for attempt in record.tried:
                idle -= attempt.ended - attempt.began
                at[attempt.target].append(attempt)
            overhead.append(idle if idle > 0 else 0.0)
        self.families.queued.observe((model, side), queued)
        self.families.overhead.observe((side,), overhead)
        for target, attempts in at.items():
            self._count_attempts(model, target, attempts)

    def _count_attempts(self, model: str, target: str, attempts: Sequence[AttemptDone]) -> None:
        side = "exo" if attempts[0].local else target_side(target)
        where = model, side
        prompt = cached = generated = cost = saved = 0
        for attempt in attempts:
            prompt += attempt.prompt_tokens or 0
            cached += attempt.cached_tokens
            generated += attempt.completion_tokens or 0
            cost += attempt.cost or 0
            saved += attempt.saved or 0
            if attempt.fault not in _NO_FAULTS:
                self.families.failed.add((side, attempt.fault))
        self.families.attempts.add(where, len(attempts))
        self.families.prompt.add(where, prompt)
        self.families.cached.add(where, cached)
        self.families.generated.add(where, generated)
        self.families.spent.add((target,), cost / _MICRO)
        self.families.saved.add((model,), saved / _MICRO)
