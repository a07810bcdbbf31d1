"""What a node's machine has, and what it bears now."""

from msgspec import Struct


class Capacity(Struct, frozen=True):
    """Memory in bytes, loads as shares of one, degrees Celsius, watts; None: not known.

    Loads, temperature and power come from Exo on macOS only, and Exo 0.0.x tells no more than
    its chip and its memory.
    """

    memory_total: int | None = None
    memory_available: int | None = None
    gpu: float | None = None
    cpu: float | None = None
    temperature: float | None = None
    power: float | None = None
    chip: str | None = None
