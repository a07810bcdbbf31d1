"""Who carries out which effect."""

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
from exo_supervisor.runtime.sinks import Sinks
from exo_supervisor.serve.live import LiveRequests


class Performer:
    """Carries effects out: each is a direct call on its owner, and none waits."""

    def __init__(
        self,
        health: Health,
        placer: Placer,
        live: LiveRequests,
        pins: PinWatch,
        instances: InstanceFile,
        sinks: Sinks,
    ) -> None:
        self._health, self._placer, self._live = health, placer, live
        self._pins, self._instances, self._sinks = pins, instances, sinks

    def perform(self, effect: Effect) -> None:
        """Carry one effect out."""
        match effect:
            case StartAttempt() | Refuse() | CancelAttempt() | KeepAwake():
                self._live.deliver(effect)
            case Announce():
                self._sinks.announce(effect)
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
