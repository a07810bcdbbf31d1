"""`ledger`: what was used, paid and saved, as text for eyes or for a spreadsheet."""

import sys
from collections.abc import Sequence
from typing import TextIO

from exo_supervisor.cli.books import torn
from exo_supervisor.cli.errors import USAGE, VerbError, misuse
from exo_supervisor.cli.http import fetch, in_query
from exo_supervisor.cli.json_view import parse_object, texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import WIDTH, clean, number, raw, remark, say, table, wrapped, write
from exo_supervisor.client.json_object import Fields, count, fields, objects

_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
_COLUMNS = ("key", "requests", "attempts", *_TOKENS, "estimated", "unpriced", "cost",
            "reported_cost", "cost_of_reported", "local_cost", "saved")  # fmt: skip
_DIGITS = 4
"""Digits of money behind the point that eyes want; a program asks for --json or --csv."""
_SAVED = (
    "SAVED is counterfactual: what [ledger] reference would have asked for the tokens of Exo's "
    "whole answers. LOCAL is what Exo's power cost; take it off."
)


def ledger(arguments: Arguments) -> int:
    """Print the sums, with their total last; or compare with a provider's own list."""
    if arguments.words:
        from exo_supervisor.cli.reconcile import reconcile

        return reconcile(arguments)
    if arguments.target:
        raise misuse("--target belongs to ledger reconcile", "exo-supervisor ledger --by target")
    asked = {"by": arguments.by or "day", "since": arguments.since, "until": arguments.until}
    asked["currency"] = arguments.currency
    query = in_query({name: said for name, said in asked.items() if said})
    body = _fetch(arguments, f"/supervisor/ledger?{query}")
    if arguments.json:
        raw(body)
        return 0
    told = parse_object(body)
    if arguments.csv:
        _write_csv([*objects(told.get("rows")), {"key": "total", **fields(told.get("total"))}])
        for line in _elsewhere(told):
            remark(f"warning: {line}")
    else:
        say(_text(told, sys.stdout))
    if stopped := texts(told.get("stopped")):
        remark(f"warning: nothing is booked now: {stopped[0]}")
    if earlier := torn(told):
        remark(f"warning: {earlier}")
    return 0


def _fetch(arguments: Arguments, path: str) -> bytes:
    """Fetch the sums; what the service does not understand was said wrongly on the command line."""
    try:
        return fetch(arguments, path)
    except VerbError as error:
        if b'"bad_value"' not in error.body:
            raise
        said = (arguments.since, arguments.until, arguments.currency)
        got = ", ".join(f"`{clean(each)}`" for each in said if each)
        text = f"{error.message}, got {got}"
        raise VerbError(
            text, hint="exo-supervisor ledger --since 30d", exit_code=USAGE, body=error.body
        ) from None


def _write_csv(rows: Sequence[Fields]) -> None:
    from csv import writer

    class Out:
        def write(self, text: str) -> None:
            write(text)

    lines = writer(Out(), lineterminator="\n")
    lines.writerow(_COLUMNS)
    lines.writerows(
        [_inert(w(row.get("key"))), *(w(row.get(column)) for column in _COLUMNS[1:])]
        for row in rows
    )


def _inert(key: str) -> str:
    """Keep a spreadsheet from taking a name, which anybody may have thought of, for a formula."""
    return f"'{key}" if len(key) > 1 and key[0] in "=+-@" else key


def _text(told: Fields, stream: TextIO) -> str:
    found, total = objects(told.get("rows")), fields(told.get("total"))
    currency, by = w(told.get("currency")), w(told.get("by"))
    if not found:
        return " ".join(["Nothing is booked of that time.", *_elsewhere(told)])
    shown = [column for column in ("local_cost", "saved") if _is_some(total, column)]
    heads = ["REQUESTS", "PROMPT", "CACHED", "COMPLETION", "COST"]
    heads += [column.removesuffix("_cost").upper() for column in shown]
    rows = [[*heads, by.upper()]]
    for each in (*found, {"key": "total", **total}):
        numbers = [number(count(each.get(name)), stream) for name in ("requests", *_TOKENS[:3])]
        money = [_rounded(w(each.get(name)), stream) for name in ("cost", *shown)]
        rows.append([*numbers, *money, w(each.get("key")) or "-"])
    lines = [table(rows, stream), *_remarks(total, currency), *_elsewhere(told)]
    if left_off := count(told.get("left_off")):
        lines.insert(1, f"{left_off} more rows are in the total alone.")
    if "saved" in shown:
        lines += wrapped(_SAVED, WIDTH)
    return "\n".join(lines)


def _remarks(total: Fields, currency: str) -> list[str]:
    """Say what the money is, and what it leaves out."""
    said = f"Money is in {currency}; days are UTC's."
    if many := count(total.get("estimated")):
        said += f" Of {many} attempts the tokens are reckoned."
    if many := count(total.get("unpriced")):
        said += f" Of {many} attempts nobody knows the price: they are not in COST."
    if _is_some(total, "reported_cost"):
        ours, theirs = w(total.get("cost_of_reported")), w(total.get("reported_cost"))
        said += f" What COST has as {ours} the providers themselves told as {theirs} USD."
    return wrapped(said, WIDTH)


def _elsewhere(told: Fields) -> list[str]:
    """Say that there is money of other currencies, which is added to none."""
    others = texts(told.get("others"))
    ask = f"exo-supervisor ledger --currency {others[0]}" if others else ""
    return [f"What was booked in {', '.join(others)} is not in it: {ask}"] if others else []


def _is_some(total: Fields, column: str) -> bool:
    return bool(w(total.get(column)).strip("0.-"))


def _rounded(digits: str, stream: TextIO) -> str:
    """Round money for eyes, by its digits; what is more than nothing never reads as nothing."""
    from decimal import Decimal, InvalidOperation

    try:
        amount = Decimal(digits)
    except InvalidOperation:
        return "-"
    rounded = round(amount, _DIGITS)
    if amount and not rounded:
        return f"<0.{'1':0>{_DIGITS}}"
    return f"{rounded:,.{_DIGITS}f}" if stream.isatty() else f"{rounded:.{_DIGITS}f}"
