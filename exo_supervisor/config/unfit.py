"""One thing that is wrong with one value."""

from msgspec import Struct

from exo_supervisor.config.fault import Kind


class Unfit(Struct, frozen=True):
    """One thing that does not fit; `index` says which element of a list."""

    kind: Kind
    message: str
    hint: str = ""
    index: int | None = None
