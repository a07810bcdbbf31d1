"""Reads the meters of Exo's clusters as attempts at them begin and end."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from time import monotonic, time
from typing import cast

from exo_supervisor.app.policy import picos
from exo_supervisor.config.schema import Config
from exo_supervisor.config.time_zone import zone_of
from exo_supervisor.core.books.power import Mark, Meters, Tariff
from exo_supervisor.core.fleet.draw import Watts, draw_of
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import Address, ClusterKey
from exo_supervisor.serve.context import BeginEnergy

_MILLI = 1000


class Energy:
    """Tells what the energy of an attempt at Exo cost."""

    def __init__(
        self, config: Config, registry: Registry,
        clock: Callable[[], float], wall: Callable[[], float],
    ) -> None:  # fmt: skip
        power = config.power
        self._watts = Watts(int(power.watts * _MILLI), int(power.idle_watts * _MILLI))
        self._meters = Meters(tariff_of(config))
        self._registry, self._clock, self._wall = registry, clock, wall

    def begin(self, target: str) -> Callable[[], int | None]:
        """Count an attempt's share from now on; what is returned ends that.

        It tells what the share cost in pico-units, None where nobody knows.
        """
        address = Address(target)
        cluster, power = draw_of(self._registry, address, self._watts)
        mark = self._meters.begin(cluster, self._clock(), self._wall(), power)
        return partial(self._end, cluster, address, mark)

    def _end(self, cluster: ClusterKey | Address, target: Address, mark: Mark) -> int | None:
        _, power = draw_of(self._registry, target, self._watts)
        return self._meters.end(cluster, mark, self._clock(), self._wall(), power)


def energy_of(
    config: Config, registry: Registry,
    clock: Callable[[], float] = monotonic, wall: Callable[[], float] = time,
) -> BeginEnergy | None:  # fmt: skip
    """Return what counts the energy of an attempt from its target on; None: no price is known."""
    return Energy(config, registry, clock, wall).begin if config.power.tariff else None


def tariff_of(config: Config) -> Tariff:
    """Return the tariff in pico-units for a kWh."""
    steps = (
        (
            int(str(step["from"])[:2]) * 3600 + int(str(step["from"])[3:]) * 60,
            picos(cast("float", step["price"])),
        )
        for step in config.power.tariff
    )
    zone = zone_of(config.budget.time_zone)

    def second_of(instant: int) -> int:
        there = datetime.fromtimestamp(instant, zone)
        return there.hour * 3600 + there.minute * 60 + there.second

    return Tariff(tuple(steps), second_of)
