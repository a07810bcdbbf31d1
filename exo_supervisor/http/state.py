"""The states of a client's connection; `connection` says how one follows another."""

from enum import Enum


class State(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    SENDING = "sending"
    READING = "reading"
    LEAVING = "leaving"
    CLOSED = "closed"
