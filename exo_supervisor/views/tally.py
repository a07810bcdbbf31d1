"""How requests ended, counted by what their log lines say: there are as many ends as lines."""

from collections import Counter

from exo_supervisor.core.effects import Announce
from exo_supervisor.views.request_done import RequestDone, side_of

ENDS = ("exo", "cloud", "here", "refused", "failed", "abandoned")
"""Who served them: Exo, a provider, or this house without either; or why nobody did."""
_UNSERVED = {"failure": "failed", "abandoned": "abandoned"}


class Tally:
    """A sink that counts."""

    name = "tally"

    def __init__(self) -> None:
        self.counts = Counter[str]()

    def done(self, record: RequestDone) -> None:
        """Count a request by its end; what a target refused of it was wrong with it, as with us."""
        end = _UNSERVED.get(record.line.outcome, "refused")
        if record.line.outcome == "success":
            end = side_of(record.line) or "here"
        self.counts[end] += 1

    def announce(self, said: Announce) -> None:
        """Count nothing of what the core announces."""
