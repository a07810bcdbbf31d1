"""The one bounded table: whoever on the network may add rows must not fill our memory."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """At most so many rows; a new one drops the oldest. What is set again keeps its place.

    Only `table[key] = row` and `renew` add rows: dict's other ways would know no bound.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, row: V) -> None:
        if len(self) >= self._most and key not in self:
            self.drop_one()
        # super() would cost as much as all the rest; dict's own method knows no K and V
        dict.__setitem__(self, key, row)  # pyright: ignore[reportUnknownMemberType] - see above

    def drop_one(self) -> None:
        """Make room: the row that was added first goes."""
        del self[next(iter(self))]

    def renew(self, key: K, row: V) -> None:
        """Set a row as the youngest."""
        self.pop(key, None)
        self[key] = row
