"""Who carries out which effect."""

import structlog

from exo_supervisor.app.instances import InstanceFile
from exo_supervisor.core.effects import (
    Announce,
    CancelAttempt,
    Effect,
    KeepAwake,
    KeepInstances,
    KeepPins,
    PlaceModel,
    ReadPlacement,
    Refuse,
    RemoveModel,
    StartAttempt,
    UnwatchNode,
    WatchNode,
)
from exo_supervisor.discovery.pins import PinWatch
from exo_supervisor.fleet_io.health import Health
from exo_supervisor.fleet_io.placer import Placer
from exo_supervisor.serve.live import LiveRequests

announce_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("announce")


class Performer:
    """Carries effects out: each is a direct call on its owner, and none waits."""

    def __init__(
        self,
        health: Health,
        placer: Placer,
        live: LiveRequests,
        pins: PinWatch,
        instances: InstanceFile,
    ) -> None:
        self._health, self._placer, self._live = health, placer, live
        self._pins, self._instances = pins, instances

    def perform(self, effect: Effect) -> None:
        """Carry one effect out."""
        match effect:
            case StartAttempt() | Refuse() | CancelAttempt() | KeepAwake():
                self._live.deliver(effect)
            case Announce():
                getattr(announce_log, effect.level)(effect.name, **effect.facts)
            case WatchNode():
                self._health.watch(effect)
            case UnwatchNode():
                self._health.unwatch(effect)
            case ReadPlacement():
                self._health.read(effect)
            case PlaceModel():
                self._placer.place(effect)
            case RemoveModel():
                self._placer.remove(effect)
            case KeepPins(pins=pins):
                self._pins.keep(pins)
            case KeepInstances(own=own):
                self._instances.keep(own)
