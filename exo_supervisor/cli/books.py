"""Who used what, and what left the house, as text for eyes."""

from typing import TextIO

from exo_supervisor.cli.json_view import texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.term import number, table
from exo_supervisor.client.json_object import Fields, count, fields, objects


def clients(body: Fields, stream: TextIO) -> str:
    """List the clients, one a line: their use today, who they are, and what narrows them."""
    rows = [["NAME", "REQUESTS", "PROMPT", "COMPLETION", "WHO", "MAY"]]
    for each in objects(body.get("clients")):
        used = ("requests", "prompt_tokens", "completion_tokens")
        who = ", ".join([*texts(each.get("uid")), *(f"@{one}" for one in texts(each.get("gid")))])
        numbers = [number(count(each.get(name)), stream) for name in used]
        rows.append([w(each.get("name")), *numbers, who or "-", _may(each)])
    since = "Since midnight in budget.time_zone; PROMPT and COMPLETION are tokens."
    return f"{table(rows, stream)}\n{since}"


def torn(ledger: Fields) -> str:
    """Say which earlier ledger was torn, if it still lies there; "": none."""
    aside = texts(ledger.get("aside"))
    return f"an earlier ledger was torn, and its rows are in no sum: {aside[0]}" if aside else ""


def _may(client: Fields) -> str:
    rate = fields(client.get("rate"))
    said = [
        ", ".join(texts(client.get("models"))),
        "local_only" if client.get("privacy") == "local_only" else "",
        f"route {w(client.get('route'))}" if client.get("route") else "",
        *(f"{many} {what}/min" for what in rate if (many := count(rate.get(what)))),
        *(f"{many} a {span}" for span, many in fields(client.get("budget")).items() if many),
        "orders" if client.get("admin") is True else "",
    ]
    return "; ".join(each for each in said if each) or "anything but orders"


def egress(body: Fields, stream: TextIO) -> str:
    """Say what left in all, then by day, provider and client, the newest day first."""
    days = sorted(objects(body.get("days")), key=lambda each: w(each.get("day")), reverse=True)
    if not days:
        return left(body, stream)
    rows = [["DAY", "PROVIDER", "CLIENT", "REQUESTS", "BYTES"]]
    for each in days:
        named = [w(each.get(key)) for key in ("day", "provider", "client")]
        numbers = [number(count(each.get(key)), stream) for key in ("requests", "bytes")]
        rows.append([*named, *numbers])
    return f"{left(body, stream)}\n{table(rows, stream)}\nDays are those of budget.time_zone."


def left(sums: Fields, stream: TextIO) -> str:
    """Say in one line what left the house."""
    requests, size = (number(count(sums.get(key)), stream) for key in ("requests", "bytes"))
    return f"{requests} requests, {size} B left the house since {w(sums.get('since'))}"


def budget(row: Fields) -> str:
    """Say in one line what a budget is, and what of it is left."""
    whose = w(row.get("name")) if row.get("name") else w(row.get("scope"))
    limit, spent, held = (w(row.get(key)) for key in ("limit", "spent", "held"))
    a_span = f"{limit} {w(row.get('currency'))} a {w(row.get('span'))}"
    if why := texts(row.get("why")):
        return (
            f"{whose}: nobody knows how much of {a_span} is spent, so no cloud is asked: {why[0]}"
        )
    text = f"{whose}: {spent} of {a_span}"
    return text + (f", {held} held" if held.strip("0.") else "")
