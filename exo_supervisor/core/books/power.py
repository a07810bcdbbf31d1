"""What the energy of Exo's answers costs, by a tariff, shared among the attempts of one time.

A cluster draws what its nodes do that run its models; at each instant those attempts share it alike
that are under way there. So the sum over attempts is what the cluster drew while any was, whatever
they overlap. How much it draws is asked when an attempt begins or ends, and taken for the time
since that was asked last. Whole numbers all the way: milliwatts, microseconds, pico-units.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable

from msgspec import Struct

MICRO = 1_000_000
_QUARTER = 900 * MICRO
"""No zone's clock is changed but at such an instant."""
_KWH = 3_600 * MICRO * MICRO
"""One in milliwatts times microseconds."""


class Tariff(Struct, frozen=True):
    """Pico-units for a kWh from a second of the day on; the last of a day goes on to the first.

    `second_of` tells the second of its day that it is at so many since 1970.
    """

    steps: tuple[tuple[int, int], ...]
    second_of: Callable[[int], int]

    def worth(self, begin: int, end: int) -> int:
        """Sum the price up over the microseconds from one instant since 1970 to another."""
        total = 0
        while begin < end:
            price, left = self._at(begin)
            until = min(end, begin + left, begin - begin % _QUARTER + _QUARTER)
            total += price * (until - begin)
            begin = until
        return total

    def _at(self, instant: int) -> tuple[int, int]:
        """Return the price at an instant, and for how many microseconds it holds at most."""
        second = self.second_of(instant // MICRO)
        begun = bisect_right(self.steps, second, key=lambda step: step[0])
        after = self.steps[begun][0] if begun < len(self.steps) else 86_400
        return self.steps[begun - 1][1], (after - second) * MICRO - instant % MICRO


class Mark(Struct, frozen=True, gc=False):
    """Where a cluster's meter stood."""

    spent: int
    gaps: int


class _Meter(Struct, gc=False):
    at: float
    running: int = 0
    spent: int = 0
    gaps: int = 0
    """How often nobody knew what was drawn."""


class Meters:
    """One a cluster at which any attempt is under way.

    `now` is on a clock that never jumps, `wall` the same instant in seconds since 1970, and `power`
    what is drawn in milliwatts, None where nobody knows.
    """

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._meters: dict[Hashable, _Meter] = {}

    def __len__(self) -> int:
        return len(self._meters)

    def begin(self, cluster: Hashable, now: float, wall: float, power: int | None) -> Mark:
        """Take an attempt in."""
        meter = self._meters.get(cluster)
        if meter is None:
            meter = self._meters[cluster] = _Meter(now)
        self._go_on(meter, now, wall, power)
        meter.running += 1
        return Mark(meter.spent, meter.gaps)

    def end(
        self, cluster: Hashable, mark: Mark, now: float, wall: float, power: int | None
    ) -> int | None:
        """Return what an attempt's share cost in pico-units, None where a part is not known."""
        meter = self._meters[cluster]
        self._go_on(meter, now, wall, power)
        meter.running -= 1
        if not meter.running:
            del self._meters[cluster]
        return None if meter.gaps > mark.gaps else (meter.spent - mark.spent) // _KWH

    def _go_on(self, meter: _Meter, now: float, wall: float, power: int | None) -> None:
        since, meter.at = meter.at, now
        if not meter.running or now <= since:
            return
        if power is None:
            meter.gaps += 1
            return
        end = int(wall * MICRO)
        worth = self._tariff.worth(end - int((now - since) * MICRO), end)
        meter.spent += worth * power // meter.running
