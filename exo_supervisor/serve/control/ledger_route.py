"""What was booked: sums for all who may look, single attempts for those who may give orders."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from time import time
from typing import cast, get_args

import msgspec
from aiohttp import web

from exo_supervisor.core.outcomes import BadRequestError, Refusal, bad_request
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import as_json, check_method, no_route
from exo_supervisor.views.booked import Books, By, LedgerUnreadableError

LEDGER = "/supervisor/ledger"
_ATTEMPTS = "attempts"
_DAY = 86_400
_BYS = get_args(By)
_AGO = re.compile(r"(\d{1,4})d\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")
_ID = re.compile(r"[0-9]{1,19}\Z")
_LAST_ID = 2**63 - 1
"""The last that SQLite counts to."""


class LedgerRoute:
    """Answers what lies at `LEDGER`, and `attempts` below it."""

    def __init__(
        self, ledger: Books | None, authority: Authority, wall: Callable[[], float] = time
    ) -> None:
        self._ledger, self._authority, self._wall = ledger, authority, wall

    async def look(self, request: web.BaseRequest, rest: str) -> web.Response:
        """Add up, or list. Raises BadRequestError."""
        if rest not in ("", _ATTEMPTS):
            raise no_route(f"no such route; there are {LEDGER} and {LEDGER}/{_ATTEMPTS}")
        check_method(request, LEDGER, "GET")
        if self._ledger is None:
            text = "this service keeps no ledger, for it has no state directory: set HOME"
            raise BadRequestError(Refusal(503, "no_ledger", text))
        asked, today = request.query, int(self._wall()) // _DAY
        since, until = _day(asked, "since", today), _day(asked, "until", today)
        try:
            if rest:
                self._authority.check(request, "ledger reconcile")
                return await self._attempts(self._ledger, asked, since, until)
            by = _by(asked.get("by", "day"))
            currency = _currency(asked.get("currency", self._ledger.currency))
            sums = await self._ledger.sums(by, since, until, currency)
        except LedgerUnreadableError as unreadable:
            raise BadRequestError(Refusal(503, "ledger_unreadable", str(unreadable))) from None
        told = {"currency": currency, "by": by, "time_zone": "UTC", **sums.shown()}
        seen = self._ledger.seen()
        return as_json({**told, "stopped": seen.stopped, "aside": seen.aside})

    async def _attempts(
        self, ledger: Books, asked: Mapping[str, str], since: int | None, until: int | None
    ) -> web.Response:
        target, after = asked.get("target", ""), asked.get("after", "0")
        if not target or _ID.match(after) is None or int(after) > _LAST_ID:
            text = "attempts are listed of one target=PROVIDER, after=ID, a number, for more"
            raise bad_request("bad_value", text, "target")
        found = await ledger.booked(target, since, until, int(after))
        rows = msgspec.to_builtins(found)
        return as_json({"currency": ledger.currency, "attempts": rows})


def _by(said: str) -> By:
    if said not in _BYS:
        raise bad_request("bad_value", f"by is one of {', '.join(_BYS)}", "by")
    return cast("By", said)


def _currency(said: str) -> str:
    if re.fullmatch("[A-Z]{3}", said) is None:
        text = "currency is one of those that were booked in, three letters, as USD"
        raise bad_request("bad_value", text, "currency")
    return said


def _day(asked: Mapping[str, str], name: str, today: int) -> int | None:
    """Read a day as 1970 counts them, by UTC."""
    said = asked.get(name)
    if said is None:
        return None
    if said in ("today", "yesterday"):
        return today - (said == "yesterday")
    if (ago := _AGO.match(said)) is not None:
        return today - int(ago[1])
    with suppress(ValueError):  # no such day
        if _DATE.match(said) is not None:
            return (date.fromisoformat(said) - date(1970, 1, 1)).days
    text = f"{name} is a day of UTC: today, yesterday, 30d (ago), or as 2026-01-31"
    raise bad_request("bad_value", text, name)
