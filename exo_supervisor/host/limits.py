"""Asks the machine for more of what every connection costs."""

import resource
import sys
from contextlib import suppress


def file_limit() -> int:
    """Return the soft limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def raise_file_limit(wanted: int) -> int:
    """Raise the soft limit of open files towards `wanted`, and say what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        with suppress(ValueError, OSError):  # a sandbox may refuse; the answer says what is so
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return file_limit()
