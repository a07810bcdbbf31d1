"""`ledger reconcile`: holds a provider's own list against what was booked, answer by answer.

It reads OpenRouter's activity export (CSV: `generation_id`, `created_at`, `cost_total`), answers of
its `/generation` (JSON: `id`, `created_at`, `total_cost`), and any list with an `id` and a `cost`.
OpenAI's and Anthropic's exports are sums by day and name no answer: those cannot be compared so.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, cast

from exo_supervisor.cli.errors import VerbError, misuse
from exo_supervisor.cli.http import in_query, view
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import cell, say
from exo_supervisor.client.json_object import Fields, count, objects
from exo_supervisor.errors import why_failed

LARGEST = 64 * 1024 * 1024
_IDS = ("generation_id", "response_id", "id")
_COSTS = ("cost_total", "total_cost", "cost")
_TIMES = ("created_at", "ts", "date")
_MOST_DIGITS = 40
"""Of an amount, before the point and behind it."""
_SHOWN = 20
"""Answers of one kind that are named."""
_EXAMPLE = "exo-supervisor ledger reconcile openrouter_activity.csv --target openrouter"


class Theirs(NamedTuple):
    """One answer in a provider's list; `day` is empty where the list does not say."""

    cost: Decimal
    day: str


class Difference(NamedTuple):
    """What stands in one list alone, or in both with another cost."""

    id: str
    what: str
    ours: str
    theirs: str


def reconcile(arguments: Arguments) -> int:
    """Compare, and say what differs; 1 if anything does."""
    if arguments.words[0] != "reconcile" or len(arguments.words) < 2:  # noqa: PLR2004 -- word, file
        raise misuse("ledger takes no words but `reconcile FILE`", _EXAMPLE)
    theirs = read_list(Path(arguments.words[1]))
    days = sorted(each.day for each in theirs.values() if each.day)
    since = arguments.since or (days[0] if days else None)
    until = arguments.until or (_day_after(days[-1]) if days else None)
    target = arguments.target or _only_provider(arguments)
    ours = _booked(arguments, target, since, until)
    found = differences(ours, theirs)
    span = f"from {since or 'the first day'} to before {until or 'tomorrow'}"
    for what in dict.fromkeys(each.what for each in found):
        alike = [each for each in found if each.what == what]
        say(f"{len(alike)} {what}:")
        for each in alike[:_SHOWN]:
            say(f"  {cell(each.id)}  ours {each.ours}  theirs {each.theirs}")
        if len(alike) > _SHOWN:
            say(f"  and {len(alike) - _SHOWN} more")
    same = len(theirs.keys() & ours.keys()) - sum(each.what == _OTHER for each in found)
    say(f"{same} answers of {cell(target)} agree, {len(found)} do not, {span} (UTC).")
    return 1 if found else 0


_HERE, _THERE = "in their list, not booked here", "booked here, not in their list"
_OTHER, _UNKNOWN = "with another cost", "whose price nobody here knows"


def differences(ours: Mapping[str, str | None], theirs: Mapping[str, Theirs]) -> list[Difference]:
    """List what differs; costs are alike that are, to the last digit that the list gives."""
    found: list[Difference] = []
    for name, (cost, _) in theirs.items():
        if name not in ours:
            found.append(Difference(name, _HERE, "-", str(cost)))
        elif (booked := ours[name]) is None:
            found.append(Difference(name, _UNKNOWN, "-", str(cost)))
        elif abs(Decimal(booked) - cost) > _half_a_digit(cost):
            found.append(Difference(name, _OTHER, booked, str(cost)))
    alone = (name for name in ours if name not in theirs)
    return [*found, *(Difference(name, _THERE, ours[name] or "-", "-") for name in alone)]


def read_list(path: Path) -> dict[str, Theirs]:
    """Read a provider's list; raises VerbError for what is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as fault:
        why = [why_failed(fault)]
        raise VerbError(f"{path} cannot be read", why=why, hint=_EXAMPLE) from fault
    if len(raw) > LARGEST:
        raise _no_list(path, f"it is longer than {LARGEST // 1024 // 1024} MiB", "split it")
    text = raw.decode("utf-8-sig", "replace")
    rows = _of_json(path, text) if text.lstrip()[:1] in ("[", "{") else _of_csv(path, text)
    found: dict[str, Theirs] = {}
    for number, row in enumerate(rows, 1):
        name, cost = _first(row, _IDS), _first(row, _COSTS)
        if not name or not cost:
            text = f"row {number} has no id ({', '.join(_IDS)}) with a cost ({', '.join(_COSTS)})"
            hint = "export single answers: sums by day name none"
            raise _no_list(path, text, hint)
        amount = _cost(cost)
        if amount is None:
            raise _no_list(path, f"row {number} has a cost that is no number", "mend that row")
        before = found[name].cost if name in found else 0  # each row of it is charged
        found[name] = Theirs(before + amount, _first(row, _TIMES)[:10])
    return found


def _cost(digits: str) -> Decimal | None:
    """Read an amount, be it of a refund; None: it is none, or none that could be added up."""
    try:
        amount = Decimal(digits if len(digits) <= _MOST_DIGITS else "nan")
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount.adjusted()) <= _MOST_DIGITS else None


def _of_json(path: Path, text: str) -> list[Fields]:
    import json

    try:
        told = cast("object", json.loads(text, parse_float=str, parse_int=str))
    except (ValueError, RecursionError):
        raise _no_list(path, "it is no JSON", "save it as it came") from None
    page = objects([told])
    inner = page[0].get("data", page[0]) if page else told  # of a page, or of one answer
    answers = objects(inner) or objects([inner])
    return [row for each in answers for row in objects([each.get("data", each)])]


def _of_csv(path: Path, text: str) -> list[Fields]:
    import csv
    from io import StringIO

    try:
        return [dict(row) for row in csv.DictReader(StringIO(text, newline=""))]
    except csv.Error:
        raise _no_list(path, "it is no CSV", "save it as it came") from None


def _no_list(path: Path, why: str, hint: str) -> VerbError:
    return VerbError(f"{path} is not a list of answers", why=[why], hint=hint)


def _first(row: Fields, names: tuple[str, ...]) -> str:
    said = (row.get(name) for name in names)
    return next((each.strip() for each in said if isinstance(each, str) and each.strip()), "")


def _day_after(day: str) -> str:
    from datetime import date, timedelta

    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        text = f"the list has a day that is none: {cell(day)}"
        raise misuse(text, f"{_EXAMPLE} --since 30d") from None


def _half_a_digit(cost: Decimal) -> Decimal:
    return Decimal(5).scaleb(min(int(cost.as_tuple().exponent), 0) - 1)


def _only_provider(arguments: Arguments) -> str:
    body = view(arguments, "/supervisor/status")
    names = [w(each.get("name")) for each in objects(body.get("providers"))]
    if len(names) != 1:
        text = f"whose list is it: one of {', '.join(names) or 'no provider'}"
        raise misuse(text, _EXAMPLE)
    return names[0]


def _booked(
    arguments: Arguments, target: str, since: str | None, until: str | None
) -> dict[str, str | None]:
    """Ask for what is booked, page by page: our cost by the answer's id."""
    found: dict[str, str | None] = {}
    asked = {"target": target, "since": since, "until": until}
    after = 0
    while True:
        told = {name: said for name, said in asked.items() if said} | {"after": str(after)}
        body = view(arguments, f"/supervisor/ledger/attempts?{in_query(told)}")
        rows = objects(body.get("attempts"))
        for row in rows:
            cost = row.get("cost")
            found[w(row.get("response_id"))] = cost if isinstance(cost, str) else None
        last = count(rows[-1].get("id")) if rows else 0
        if last <= after:
            return found
        after = last
