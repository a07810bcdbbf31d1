"""The service's answers as text for eyes: status, models, breakers.

Each function takes the decoded body, the stream that will show it, and the time now (seconds
since 1970) where it tells time relative to it; it returns the text. The shapes are those of the
service's answers under `/supervisor/`.
"""

from typing import TextIO

from exo_supervisor.cli.books import budget, left, torn
from exo_supervisor.cli.json_view import seconds, stamp, texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.term import (
    DIM,
    SCREEN,
    WIDTH,
    number,
    paint,
    relative,
    span,
    table,
    tint,
    wrapped,
)
from exo_supervisor.cli.verbs import PROGRAM
from exo_supervisor.client.json_object import Fields, count, fields, objects

_RUNGS = ("ready", "placed", "clustered", "identified", "reachable", "seen", "down")


def status(body: Fields, now: float, stream: TextIO) -> str:
    """Say in the first line whether it serves, and last what to do."""
    ready = body.get("ready") is True
    counts = _rung_counts(body)
    nodes = ", ".join(f"{many} {rung}" for rung, many in counts) or ("none found" if ready else "")
    serves = ready and not {rung for rung, _ in counts} <= {"seen", "down"}
    rows = [
        ("ready" if ready else "not ready", [w(body.get("summary"))]),
        ("nodes", [nodes] if nodes else []),
        ("trust", _trust(body)),
        ("socket", texts(body.get("sockets"))),
        ("requests", _requests(fields(body.get("requests")), stream)),
        ("egress", [left(told, stream)] if (told := fields(body.get("egress"))) else []),
        ("clients", _clients(fields(body.get("clients")), stream)),
        ("budgets", [budget(each) for each in objects(body.get("budgets"))]),
        ("ledger", _ledger(body)),
        ("failed", _last_failed(fields(body.get("last_failed")), now)),
        ("cloud", _clouds(body)),
        ("held", [line for each in objects(body.get("held")) for line in _held(each)]),
        ("looked", [] if serves else _joined(body.get("looked"), "; ")),
        ("quiet", texts(body.get("quiet")) if serves else []),
        ("not yet", _joined(body.get("not_yet"), ", ")),
        ("advice", [f"{at} {text}" for at, text in enumerate(texts(body.get("advice")), 1)]),
    ]
    version = f"{w(body.get('version'))}, up {span(seconds(body.get('uptime')))}"
    return _labelled([(label, lines) for label, lines in rows if lines], version, stream)


def _trust(body: Fields) -> list[str]:
    """Tell how many nodes are trusted where some are not, and by which command they would be."""
    grounds = fields(body.get("trust"))
    found = count(grounds.get("found"))
    if not found:
        return []
    trusted = sum(count(many) for many in grounds.values()) - found
    return [f"{trusted} trusted, {found} only found: {w(body.get('to_trust'))}"]


def _labelled(rows: list[tuple[str, list[str]]], version: str, stream: TextIO) -> str:
    """Lay out labels and what they say, the version at the end of the first line if it fits."""
    width = max(len(label) for label, _ in rows) + 2
    lines: list[str] = []
    for label, entries in rows:
        told = [line for entry in entries for line in _wrapped(entry, SCREEN - width)]
        for place, line in enumerate(told):
            lines.append(_label(label if place == 0 else "", width, stream) + line)
    room = WIDTH - width - len(rows[0][1][0]) - len(version)
    if room < 2:  # noqa: PLR2004 -- as between the columns of a table
        return "\n".join([*lines, _label("version", width, stream) + version])
    lines[0] += " " * room + paint(version, DIM, stream)
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines; an address or a path stays whole, and a list's lines are shifted."""
    if text.startswith(f"{PROGRAM} "):
        return [text]
    shift = "  " if text[:1].isdigit() and text[1:2] == " " else ""
    return wrapped(text, width, shift)


def models(body: Fields, stream: TextIO) -> str:
    """List the models, one line for each target that serves or will serve one.

    An id that a configured row stands for is shown by that row alone.
    """
    rows = [["ID", "STATE", "TARGET", "READY"]]
    for model in objects(body.get("models")):
        if model.get("alias_of"):
            continue
        head = [w(model.get("id")), w(model.get("state"))]
        wheres = objects(model.get("where"))
        if why := texts(model.get("why")):
            rows.append([*head, "-", f"no, {why[0]}"])
            head = ["", ""]
        for where in wheres or ([] if why else [{}]):
            rows.append([*head, w(where.get("target")), _readiness(where) if where else "-"])
            head = ["", ""]
    return table(rows, stream, tinted=(1, 3), own_line=0)


def breakers(body: Fields, now: float, stream: TextIO) -> str:
    """List the breakers that are not closed or are held by hand; one line if all are well."""
    known = objects(body.get("breakers"))
    if not known:
        return "No breaker yet: each target gets one when it is found"
    loud = [each for each in known if each.get("state") != "closed" or each.get("forced")]
    if not loud:
        return f"All {len(known)} closed."
    rows = [["TARGET", "MODEL", "STATE", "SINCE", "UNTIL", "REASON"]]
    for each in loud:
        since, until = (relative(stamp(each.get(key)), now) for key in ("since", "until"))
        named = [w(each.get(key)) for key in ("target", "model", "state")]
        rows.append([*named, since, until, w(each.get("reason"))])
    quiet = len(known) - len(loud)
    others = {0: "", 1: "1 other closed. "}.get(quiet, f"{quiet} others closed. ")
    after = "An open one is tried again by itself at UNTIL."
    if any(each.get("forced") for each in loud):
        after += "\nOne held by the operator stays: exo-supervisor breaker TARGET auto lets it go."
    return f"{table(rows, stream, tinted=(2,), own_line=1)}\n{others}{after}"


def progress(where: Fields) -> str:
    """Say how far a model is at one target, as the service says it; empty where it does not."""
    said = [text for key in ("why", "progress") for text in texts(where.get(key))]
    return ", ".join(dict.fromkeys(said))


def _label(label: str, width: int, stream: TextIO) -> str:
    painted = tint(label, stream) if label in {"ready", "not ready"} else paint(label, DIM, stream)
    return painted + " " * (width - len(label))


def _joined(value: object, glue: str) -> list[str]:
    known = texts(value)
    return [glue.join(known)] if known else []


def _rung_counts(body: Fields) -> list[tuple[str, int]]:
    """Count the nodes by rung, the highest first, then rungs that we do not know."""
    down = count(body.get("down"))
    found: Fields = {**fields(body.get("nodes")), "down": down}
    found["seen"] = count(found.get("seen")) - down
    names = [*_RUNGS, *(name for name in found if name not in _RUNGS)]
    return [(w(name), many) for name in names if (many := count(found.get(name))) > 0]


def _requests(requests: Fields, stream: TextIO) -> list[str]:
    if not any(count(requests.get(name)) for name in ("now", "total")):
        return []
    now, total, exo, cloud, refused, failed = (
        number(count(requests.get(name)), stream)
        for name in ("now", "total", "exo", "cloud", "refused", "failed")
    )
    ends = f"Exo {exo}, cloud {cloud}, refused {refused}, failed {failed}"
    return [f"{now} now; since start {total}: {ends}"]


def _clients(used: Fields, stream: TextIO) -> list[str]:
    said = ", ".join(f"{w(name)} {number(count(many), stream)}" for name, many in used.items())
    return [f"{said} requests today"] if used else []


def _last_failed(failed: Fields, now: float) -> list[str]:
    at, why = stamp(failed.get("at")), texts(failed.get("why"))
    return [f"{relative(at, now)}: {why[0]}"] if why else []


def _ledger(body: Fields) -> list[str]:
    """Tell what is not booked, and why; nothing where all is."""
    if "ledger" not in body:
        return []
    if body.get("ledger") is None:
        return ["none is kept: there is no state directory; set HOME"]
    kept = fields(body.get("ledger"))
    stopped, unbooked = texts(kept.get("stopped")), count(kept.get("unbooked"))
    said = [f"books nothing: {stopped[0]}"] if stopped else []
    if earlier := torn(kept):
        said.append(earlier)
    return [*said, *([f"{unbooked} requests are not booked"] if unbooked else [])]


def _held(breaker: Fields) -> list[str]:
    """Say which breaker an operator holds, and how it is let go."""
    target, model = w(breaker.get("target")), breaker.get("model")
    finer = f" {w(model)}" if model else ""
    undo = f"exo-supervisor breaker {target} auto" + (f" --model {w(model)}" if model else "")
    return [f"{target}{finer} {w(breaker.get('state'))} by the operator; let it go with", undo]


def _clouds(body: Fields) -> list[str]:
    told: list[str] = []
    for provider in objects(body.get("providers")):
        why = texts(provider.get("why"))
        told.append(", ".join([f"{w(provider.get('name'))} {w(provider.get('state'))}", *why]))
    return ["; ".join(told)] if told else []


def _readiness(where: Fields) -> str:
    if where.get("ready") is True:
        return "yes"
    how_far = progress(where)
    return f"no, {how_far}" if how_far else "no"
