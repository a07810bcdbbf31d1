"""What was recorded: the requests under way and those that ended, and the moves of traffic."""

import re
import time
from urllib.parse import unquote

from aiohttp import web

from exo_supervisor.core.machine import Machine
from exo_supervisor.core.outcomes import BadRequestError, Refusal, bad_request
from exo_supervisor.serve.control.about import About
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.plain import as_json, check_method, no_route
from exo_supervisor.serve.control.routes import wall
from exo_supervisor.views import recorded
from exo_supervisor.views.recorder import MOST
from exo_supervisor.views.under_way import under_way

REQUESTS, SHIFTS = "/supervisor/requests", "/supervisor/shifts"
_ID = re.compile(r"[0-9A-Z]{4,26}\Z")
_MOST_NAMED = 3


class Recorded:
    """Answers what lies at and below `REQUESTS`, and at `SHIFTS`."""

    def __init__(self, machine: Machine, about: About, authority: Authority) -> None:
        self._machine, self._about, self._authority = machine, about, authority

    def requests(self, request: web.BaseRequest, rest: str) -> web.Response:
        """List the requests, or tell one's story. Raises BadRequestError."""
        check_method(request, REQUESTS + ("/{id}" if rest else ""), "GET")
        recorder, may = self._about.recorder, self._may(request)
        now = under_way(self._machine, self._about.reading_of, wall)
        if not rest:
            body: dict[str, object] = {"requests": now}
            if (last := request.query.get("last")) is not None:
                body["ended"] = recorded.ended(recorder, _number(last), may)
                body["kept"] = recorded.how_far_back(recorder)
            return as_json(body)
        name = _id(rest)
        found = recorder.starting(name)
        rows = [each for each in now if each.id.startswith(name)]
        if len(found) + len(rows) > 1:
            names = [*(each.id for each in rows), *(each.line.request_id for each in found)]
            more = " and others" if len(names) > _MOST_NAMED else ""
            text = f"several requests begin so: {', '.join(names[:_MOST_NAMED])}{more}"
            raise bad_request("bad_value", text, "id")
        if rows:
            return as_json({"request": rows[0]})
        if not found:
            raise BadRequestError(Refusal(404, "request_not_found", self._not_kept()))
        return as_json({"request": recorded.row_of(found[0], full=may(found[0].line))})

    def shifts(self, request: web.BaseRequest, rest: str) -> web.Response:
        """List the moves of traffic, and the breakers that opened. Raises BadRequestError."""
        if rest:
            raise no_route(f"nothing lies below {SHIFTS}")
        check_method(request, SHIFTS, "GET")
        currency = self._machine.tables.policy.budgets.currency
        return as_json(recorded.shifts(self._about.recorder, time.time(), currency))

    def _not_kept(self) -> str:
        kept = recorded.how_far_back(self._about.recorder)
        many, since = kept["requests"], kept["since"]
        text = f"no such request is under way, nor among the last {many} that ended"
        return f"{text}, which reach back to {since}" if since else f"{text} since the start"

    def _may(self, request: web.BaseRequest) -> recorded.May:
        """Say of which requests the client that asks may see all."""
        sees = self._authority.sees(request)
        return lambda line: sees(line.client, line.client_uid)


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 0 < int(text) <= MOST:
        return int(text)
    raise bad_request("bad_value", f"last wants a whole number from 1 to {MOST}", "last")


def _id(rest: str) -> str:
    name = unquote(rest).upper()
    if _ID.match(name) is None:
        text = "a request's id, as x-request-id has it, is 26 letters and digits;"
        raise bad_request("bad_value", f"{text} its first ones will do, at least 4", "id")
    return name
