"""The clock by which an idle connection ages: one that runs while the machine sleeps.

`time.monotonic` stands still then on Linux, and a laptop that wakes up would send its next request
over a connection that every router on the way has forgotten.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

boottime: Callable[[], float] = time.monotonic
"""Returns monotonic seconds; on Linux those of sleep are included."""
if sys.platform == "linux":
    boottime = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
