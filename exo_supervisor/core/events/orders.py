"""What a person wants, by a verb or in the configuration."""

from typing import Literal

from exo_supervisor.core.events.base import BaseEvent
from exo_supervisor.core.names import (
    Address,
    ModelId,
)
from exo_supervisor.core.policy import Policy


class ModelOrdered(BaseEvent, frozen=True, kw_only=True):
    """A person wants a model placed once, or removed; `models` are its ids at Exo."""

    models: tuple[ModelId, ...]
    order: Literal["place", "remove"]


class NodeTrusted(BaseEvent, frozen=True, kw_only=True):
    """A person trusts a node, or does so no more; a pin holds across restarts."""

    node: Address
    trusted: bool


class NodesForgotten(BaseEvent, frozen=True, kw_only=True):
    """A person wants to hear no more of the nodes that are not up."""


class BreakerForced(BaseEvent, frozen=True, kw_only=True):
    """An operator decreed a breaker's state; None returns it to the automaton."""

    target: str
    model: ModelId | None
    forced: Literal["open", "closed"] | None


class PolicyChanged(BaseEvent, frozen=True, kw_only=True):
    """The configuration was read anew: from here on decisions are made by this policy."""

    policy: Policy
