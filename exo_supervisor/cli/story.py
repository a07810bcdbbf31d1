"""A request's story, moves of traffic and what would be chosen, as text for eyes.

The shapes are those of `/supervisor/requests/{id}`, `/supervisor/shifts` and
`/supervisor/models/{name}`; what is missing in one is left out.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TextIO

from exo_supervisor.cli.json_view import seconds, stamp, texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.meanings import CHOSEN, ENDS, FAULTS, PASSED, TRY, WAITED
from exo_supervisor.cli.term import DIM, SCREEN, paint, relative, span, wrapped
from exo_supervisor.client.json_object import Fields, count, fields, objects

_WIDTH = 10
Rows = list[tuple[str, str]]


def request(row: Fields, now: float, stream: TextIO) -> str:
    """Tell one request's story: how it ended, why so, when what happened, and what to do."""
    came = relative(stamp(row.get("since")), now)
    head = f"{w(row.get('id'))}, {w(row.get('model'))}, came {came}"
    if row.get("state") != "ended":
        return _laid([("request", head), ("now", _under_way(row))], stream)
    if row.get("full") is not True:
        text = "it is another client's: who may give orders is told all of it"
        return _laid([("request", head), ("ended", w(row.get("target"))), ("rest", text)], stream)
    who = f"client {w(row.get('client'))}, {w(row.get('dialect'))}"
    rows: Rows = [("request", head), ("", who), ("ended", _end(row))]
    tried = objects(row.get("tried"))
    rows += [("because", text) for text in _because(row, tried)]
    rows += [("not", text) for text in _not(row, tried)]
    rows += [("timeline", text) for text in _timeline(row, tried)]
    rows += [("breaker", text) for text in _breakers(row)]
    hint = TRY.get(str(row.get("code")), "")
    rows += [("try", hint.format(model=w(row.get("model"))))] if hint else []
    return _laid(rows, stream)


def _under_way(row: Fields) -> str:
    if row.get("state") == "waiting":
        return f"it waits for {WAITED.get(str(row.get('why')), w(row.get('why')))}"
    return f"{w(row.get('state'))} by {w(row.get('target'))}, attempt {count(row.get('attempts'))}"


def _end(row: Fields) -> str:
    outcome, code = str(row.get("outcome")), row.get("code")
    took = _time(row.get("duration"))
    if outcome == "abandoned" and code == "deadline":
        return f"its deadline passed after {took}, status {w(row.get('status'))}"
    said = ENDS.get(outcome, outcome)
    if outcome != "success":
        code = f" ({w(code)}, status {count(row.get('status'))})" if code else ""
        return f"{said} after {took}{code}"
    shift = f", shift {w(row.get('shift'))}" if row.get("shift") else ""
    return f"{said} by {w(row.get('target'))} in {took}{shift}{_tokens(row)}"


def _tokens(row: Fields) -> str:
    prompt, completion, cached = (
        count(row.get(f"{name}_tokens")) for name in ("prompt", "completion", "cached")
    )
    if not (prompt or completion):
        return ""
    known = f" ({cached} of them cached)" if cached else ""
    return f", {prompt} tokens in{known}, {completion} out"


def _because(row: Fields, tried: list[Fields]) -> Iterator[str]:
    """Say by what the last attempt's target was chosen, and what was waited for."""
    for each in tried[-1:]:
        yield f"{w(each.get('target'))}: {_chosen(each)}"
        if each.get("moved") is True:
            yield "its conversation had its cache elsewhere, which could not be asked"
    for each in (*tried, row):
        if each.get("waited"):
            what = WAITED.get(str(each.get("waited")), w(each.get("waited")))
            until = _time(each.get("began" if "began" in each else "duration"))
            yield f"it waited for {what}, until {until}"


def _chosen(choice: Fields) -> str:
    compared, why = objects(choice.get("compared")), str(choice.get("why"))
    if not compared:
        return CHOSEN.get(why, why)
    target = choice.get("target")
    others = [_wait_of(each) for each in compared if each.get("target") != target]
    own = [_time(each.get("wait")) for each in compared if each.get("target") == target]
    if why == "in_turn":
        return f"its turn came, of {len(compared)}"
    waits = {each.get("wait") for each in compared}
    if len(waits) == 1:
        return f"by chance, of {len(compared)} that are as fast: {', '.join(others)}"
    return f"fastest of {len(compared)}: expected {', '.join(own)}, {', '.join(others)}"


def _wait_of(each: Fields) -> str:
    return f"{w(each.get('target'))} {_time(each.get('wait'))}"


def _not(row: Fields, tried: list[Fields]) -> Iterator[str]:
    """Say why each other target did not answer: it was tried in vain, or passed over."""
    for each in tried:
        if each.get("fault") not in ("none", None):
            yield f"{w(each.get('target'))}: {_fault(each)}"
    told = dict.fromkeys(passed(each) for at in (*tried, row) for each in objects(at.get("passed")))
    yield from told


def _fault(attempt: Fields) -> str:
    fault = str(attempt.get("fault"))
    if fault in ("client_left", "deadline"):
        return "at work when " + ("its client left" if fault == "client_left" else "time was up")
    status = count(attempt.get("status"))
    said = f"tried, {_plain(fault)}" + (f", status {status}" if status else "")
    return ": ".join([said, *texts(attempt.get("message"))])


def passed(each: Fields) -> str:
    """Say why one target was passed over."""
    said = PASSED.get(str(each.get("reason")), w(each.get("reason")))
    detail = texts(each.get("detail"))
    glue = " " if each.get("reason") == "unsupported_field" else ", "
    text = f"{w(each.get('target'))}: {glue.join([said, *detail])}"
    return text + (f", {_time(each.get('ends'))} more" if each.get("ends") else "")


def _timeline(row: Fields, tried: list[Fields]) -> Iterator[str]:
    for each in tried:
        began = seconds(each.get("began"))
        where = f"{w(each.get('target'))} as {w(each.get('model'))}"
        yield _at(began, f"asks {where}")
        for key, text in (("connected", "connected"), ("head", "head"), ("first", "first content")):
            if each.get(key) is not None:
                yield _at(began + seconds(each.get(key)), text)
        if each.get("silence"):
            yield f"{'':>9}  its longest silence was {_time(each.get('silence'))}"
        whole = each.get("fault") == "none"
        yield _at(seconds(each.get("ended")), "whole" if whole else _plain(each.get("fault")))
    if row.get("outcome") != "success":
        told = f"its client is told {w(row.get('code'))}" if row.get("code") else "over"
        yield _at(seconds(row.get("duration")), told)


def _breakers(row: Fields) -> Iterator[str]:
    verbs = {"open": "opened", "half_open": "probed", "closed": "closed"}
    for each in objects(row.get("breakers")):
        model = f" {w(each.get('model'))}" if each.get("model") else ""
        did = verbs.get(str(each.get("state")), w(each.get("state")))
        rule = each.get("reason")
        why = "" if rule in (None, "none") else f" ({w(rule)})"
        yield f"{w(each.get('target'))}{model}: {did} by this request{why}"


def shifts(body: Fields, now: float, stream: TextIO) -> str:
    """Tell of each move of traffic what led to it, how long it lasts and what it cost."""
    moves = objects(body.get("shifts"))
    if not moves:
        return "Traffic has not moved since the start."
    currency = w(body.get("currency"))
    return "\n\n".join(_laid(_shift(each, now, currency), stream) for each in moves)


def _shift(move: Fields, now: float, currency: str) -> Iterator[tuple[str, str]]:
    way = f"{w(move.get('model'))} from {w(move.get('from'))} to {w(move.get('to'))}"
    yield "shift", f"{way}, {relative(stamp(move.get('since')), now)}: {w(move.get('reason'))}"
    lasts = span(seconds(move.get("duration")))
    yield "lasted", lasts if move.get("until") else f"{lasts} so far"
    if move.get("reason") != "recovered":
        many = count(move.get("requests"))
        requests = "1 request" if many == 1 else f"{many} requests"
        yield "took", f"{requests}, cost {_money(count(move.get('cost_microdollars')), currency)}"
    for each in objects(move.get("evidence")):
        tried = f"{w(each.get('target'))}: tried, {_plain(each.get('detail'))}"
        yield "evidence", tried if each.get("reason") == "attempt_failed" else passed(each)
        for one in objects(each.get("failures")):
            before, by = _time(one.get("ago")), w(one.get("request_id"))
            yield "", f"  {_plain(one.get('fault'))} {before} before, by {by}"
    if move.get("request_id"):
        yield "first", f"exo-supervisor why {w(move.get('request_id'))}"


def _money(micros: int, currency: str) -> str:
    whole, rest = divmod(micros, 1_000_000)
    return f"{whole}.{rest:06} {currency}" if micros else "nothing that is known"


def model(body: Fields, stream: TextIO) -> str:
    """Say who would be asked for a model now, and why nobody else."""
    choice, name = fields(body.get("choice")), w(fields(body.get("model")).get("id"))
    refusal = fields(choice.get("refusal"))
    rows: Rows = [("model", name)]
    hint = ""
    if choice.get("target"):
        rows.append(("goes to", f"{w(choice.get('target'))} as {w(choice.get('model'))}"))
        rows.append(("because", _chosen(choice)))
    elif refusal:
        code = w(refusal.get("code"))
        rows.append(("goes", f"it would be refused: {w(refusal.get('message'))} ({code})"))
        hint = "exo-supervisor nodes" if code == "no_target" else TRY.get(code, "")
    else:
        rows.append(("goes", "nowhere: Exo knows it, but no node runs it"))
        hint = TRY["model_not_placed"]
    rows += [("not", passed(each)) for each in objects(choice.get("passed"))]
    rows += [("try", hint.format(model=name))] if hint else []
    return _laid(rows, stream)


def _at(instant: float, text: str) -> str:
    return f"{instant:>7.3f} s  {text}"


def _plain(fault: object) -> str:
    return FAULTS.get(str(fault), w(fault).replace("_", " "))


def _time(value: object) -> str:
    took = seconds(value)
    return span(took) if took >= 60 else f"{took:.3f} s"  # noqa: PLR2004 -- a minute


def _laid(rows: Iterable[tuple[str, str]], stream: TextIO) -> str:
    """Lay out what is told behind its labels, each label once."""
    lines: list[str] = []
    last = ""
    for label, text in rows:
        shown = "" if label == last else label
        last = label or last
        shift = " " * 11 if text[:1] == " " and "  " in text.strip() else "  "
        whole = re.sub(r"(?<=\d) (?=s\b)", "\0", text)  # a number and its unit stay together
        for part in wrapped(whole, SCREEN - _WIDTH, shift) or [""]:
            lines.append(paint(f"{shown:<{_WIDTH}}", DIM, stream) + part.replace("\0", " "))
            shown = ""
    return "\n".join(line.rstrip() for line in lines)
