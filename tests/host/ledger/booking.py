"""Makes what is booked, and reads what was."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from exo_supervisor.views.booked import Reservation
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine

AT = 1_795_410_301.25
"""Mid-November 2026, in seconds since 1970."""
PICO = 10**12


def attempt(number: int = 1, **more: Any) -> AttemptDone:  # noqa: ANN401 -- any field
    """Return an attempt that a cloud answered whole."""
    told: dict[str, Any] = {
        "target": "openrouter", "model": "vendor/house-model", "served_model": "vendor/house-model",
        "shift": None, "began": 0.5, "ended": 1.75, "head": 0.25, "first": 0.5, "fault": "none",
        "status": 200, "message": "", "prompt_tokens": 14, "completion_tokens": 11,
        "cost": 3_000_000, "number": number, "response_id": None,
    }  # fmt: skip
    return AttemptDone(**{**told, **more})


def done(name: str = "01J9", *tried: AttemptDone, **more: Any) -> RequestDone:  # noqa: ANN401 -- any field
    """Return a request that ended so."""
    line = RequestLine(name, model="house-model", status=200, outcome="success", duration=2.0)
    for key, value in more.items():
        setattr(line, key, value)
    return RequestDone(line, tried or (attempt(),))


def held(name: str = "01J9", number: int = 1, amount: int = PICO) -> Reservation:
    """Return a reservation for an attempt that `attempt` makes."""
    model = "vendor/house-model"
    return Reservation(AT - 2, name, number, "openrouter", model, "default", 7, amount)


def rows(
    path: Path, what: str = "* FROM attempts ORDER BY request_id, number"
) -> list[dict[str, Any]]:
    """Read the file as a person would."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT {what}")]
