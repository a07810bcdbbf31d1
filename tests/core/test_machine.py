"""Whatever can happen has somebody who takes it in."""

from typing import get_args

from exo_supervisor.core.events import Event
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.policy import Policy


def test_every_event_has_a_handler_and_every_handler_an_event() -> None:
    handlers = vars(Machine(Policy(), 0.0))["_handlers"]
    assert set(handlers) == set(get_args(Event))
