"""What all events share, and the one that tells of nothing but time."""

from msgspec import Struct


class BaseEvent(Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """The class name is the tag, so that an event logs, streams and replays as itself."""


class Ticked(BaseEvent, frozen=True, kw_only=True):
    """An instant that the core had asked for went by."""
