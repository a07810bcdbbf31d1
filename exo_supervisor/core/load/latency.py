"""How fast each target has been of late: a peak-sensitive moving average of first contents."""

from collections.abc import Iterable, Mapping
from math import exp

from msgspec import Struct

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.choice import Expected
from exo_supervisor.core.load.marks import Pair
from exo_supervisor.core.names import ModelId, Target

MAX_MODELS = 256
"""Models that are measured per target, at most; the one measured first makes room."""
DECAY = 10.0
"""Seconds in which an old measurement loses most of its weight."""
FADE = 300.0
"""Seconds in which what was measured of an idle target loses most of its say: who was slow once,
perhaps while it loaded, is asked again sooner or later."""


class Sample(Struct):
    """One target's time to first content for one model, in seconds, and when it was measured."""

    ttft: float
    at: float

    def take(self, ttft: float, now: float) -> None:
        """Take one measurement in: a slower one counts at once, a faster one with time."""
        if ttft < self.ttft:
            old = exp((self.at - now) / DECAY) if now > self.at else 1.0
            ttft = self.ttft * old + ttft * (1.0 - old)
        self.ttft, self.at = ttft, now


class Latencies:
    """The house's measurements, one per target and model; they leave with their target."""

    def __init__(self) -> None:
        self._samples: dict[Target, Bounded[ModelId, Sample]] = {}

    def observe(self, target: Target, model: ModelId, ttft: float, now: float) -> None:
        """Take a first content's time in."""
        samples = self._samples.get(target)
        if samples is None:
            samples = self._samples[target] = Bounded(MAX_MODELS)
        if (sample := samples.get(model)) is None:
            samples[model] = Sample(ttft, now)
        else:
            sample.take(ttft, now)

    def has_sample(self, target: Target, model: ModelId) -> bool:
        """Say whether a target was seen to answer with a model."""
        samples = self._samples.get(target)
        return samples is not None and model in samples

    def loads(
        self, pairs: Iterable[Pair], at_work: Mapping[Target, int], now: float
    ) -> tuple[list[tuple[float, int]], list[Expected]]:
        """Score targets, lower is better: expected wait, then attempts at work there.

        A target that was never measured scores as instant, so that it gets measured; one that
        was measured long ago is on the way there. With the scores comes what people are told.
        """
        loads: list[tuple[float, int]] = []
        waits: list[Expected] = []
        for target, model in pairs:
            wait, busy, samples = 0.0, at_work.get(target, 0), self._samples.get(target)
            if samples is not None and (sample := samples.get(model)) is not None:
                age = now - sample.at
                faded = exp(-age / FADE) if age > 0.0 else 1.0
                wait = sample.ttft * faded * (busy + 1)
            loads.append((wait, busy))
            waits.append((target, wait))
        return loads, waits

    def forget(self, target: Target) -> None:
        """Drop the measurements of a target that is gone."""
        self._samples.pop(target, None)
