"""Time zones by their names, as far as this machine knows them; UTC is known everywhere.

`zoneinfo` is imported where another zone is named: few name one, and it brings Python's whole
build configuration along.
"""

from datetime import UTC, tzinfo

from exo_supervisor.config.network_checks import Problem
from exo_supervisor.config.similar import nearest


def zone_of(name: str) -> tzinfo:
    """Return a time zone; raises ValueError where there is none of that name."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 -- see above

    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError):  # a folder of zones, none, or no name of one
        raise ValueError("no such time zone") from None


def zone_problem(name: str) -> Problem | None:
    """Say what is wrong with a time zone's name."""
    try:
        zone_of(name)
    except ValueError:
        from zoneinfo import available_timezones  # noqa: PLC0415 -- see above

        known = available_timezones()
        if not known:
            hint = 'install the package tzdata, or use "UTC"'
            return f"names {name[:64]!r}, and this machine has no time zones but UTC", hint
        near = nearest(name[:64], known)
        hint = f'similar: "{near}"' if near else 'for example "Europe/Berlin"'
        return f"names no time zone, got {name[:64]!r}", hint
    return None
