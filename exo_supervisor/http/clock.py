"""The clock by which an idle connection ages: one that runs while the machine sleeps.

`time.monotonic` stands still then on Linux, and a laptop that wakes up would send its next request
over a connection that every router on the way has forgotten.
"""

import time

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def awake_or_asleep() -> float:
    """Return seconds that only grow, those of sleep included where the platform counts them."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
