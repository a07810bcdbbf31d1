"""`top` as lines of plain ASCII: the sentence first, then what is wrong before what is well.

Pure: a picture, a size and the time give lines. Where the screen has too few of them each section
keeps its first rows, and says how many it hides.
"""

from collections import Counter
from collections.abc import Sequence
from time import localtime, strftime

from exo_supervisor.cli.json_view import stamp, texts, word
from exo_supervisor.cli.term import moment, span, widths_of
from exo_supervisor.client.json_object import Fields, count, fields, objects

NARROWEST = 20
LATE = 12.0
"""Seconds without a word after which a service seems to hang: it says each 5 that it is there."""
CALM = 10
"""Nodes that stay where they are; of more, those come first that work."""
_MARKS = {"well": "[ok]", "weak": "[ !]", "bad": "[XX]"}
_ENDS = ("exo", "cloud", "here", "refused", "failed", "abandoned")
_SHOWN_ID = 10
"""Characters of a request's id, its last ones: the first tell the time."""
Rows = list[list[str]]


class Picture:
    """What was heard last; `heard` is when, by the wall clock, and `lost` why no more comes."""

    def __init__(self) -> None:
        self.now: Fields = {}
        self.nodes: list[Fields] = []
        self.providers: list[Fields] = []
        self.breakers: list[Fields] = []
        self.requests: list[Fields] = []
        self.shifts: Fields = {}
        self.ledger: Fields = {}
        self.missed = 0
        self.heard = 0.0
        self.lost = ""


def lines(picture: Picture, width: int, height: int, now: float) -> list[str]:
    """Draw a picture: at most `height` lines of at most `width` characters."""
    width = max(width, NARROWEST)
    head = [*_sentence(picture, width, now), *_figures(picture, width)]
    sections = [
        _nodes(picture), _providers(picture), _running(picture, now), _moves(picture),
    ]  # fmt: skip
    drawn = _fitted([each for each in sections if len(each) > 1], height - len(head))
    return [_plain(line)[:width].rstrip() for line in (*head, *drawn)][:height]


def _sentence(picture: Picture, width: int, now: float) -> list[str]:
    """Say how it stands; of a service that is gone, that it is, before what was last known."""
    verdict = fields(picture.now.get("verdict"))
    at = strftime("%H:%M:%S", localtime(picture.heard))
    mark = _MARKS.get(word(verdict.get("level")), "[ ?]")
    parts = texts(verdict.get("parts"))
    age = now - picture.heard
    if picture.lost:
        mark = "[XX]"
        parts = [f"no service since {at}, {span(age)} ago ({picture.lost}); before that:", *parts]
    elif age >= LATE:
        parts = [f"no word for {span(age)}", *parts, at]
    else:
        parts = [*parts, at]
    return _joined([f"{mark} {parts[0]}", *parts[1:]] if parts else [mark], " | ", width)


def _figures(picture: Picture, width: int) -> list[str]:
    now, requests = picture.now, fields(picture.now.get("requests"))
    speed = fields(now.get("tokens_per_second"))
    ends = (f"{name} {count(requests.get(name))}" for name in _ENDS if count(requests.get(name)))
    said = [f"tok/s Exo {_figure(speed.get('exo'))}, cloud {_figure(speed.get('cloud'))}"]
    said.append(f"waiting {count(now.get('waiting'))}")
    said.append(f"of {count(requests.get('total'))}: {', '.join(ends) or 'none yet'}")
    said += _money(picture.ledger)
    if picture.missed:
        said.append(f"{picture.missed} events missed")
    return _joined(said, " | ", width)


def _money(ledger: Fields) -> list[str]:
    """Tell what today cost and saved, as the ledger has it."""
    total, currency = fields(ledger.get("total")), word(ledger.get("currency"))
    if not total:
        return []
    stopped = texts(ledger.get("stopped"))
    paid, saved = _amount(total.get("cost")), _amount(total.get("saved"))
    told = [f"paid {paid} {currency}, saved {saved} today"]
    return [*told, *(f"nothing is booked: {why}" for why in stopped[:1])]


def _amount(value: object) -> str:
    try:
        return f"{float(str(value)):.4f}"
    except ValueError:
        return "-"


def _nodes(picture: Picture) -> Rows:
    """List the nodes, those first that are not well."""
    traffic = Counter(word(each.get("target")) for each in picture.requests)
    rows: Rows = []
    for node in picture.nodes:
        name, shut = word(node.get("id")), word(fields(node.get("breaker")).get("state"))
        models = [m for m in objects(node.get("models")) if m.get("ready") is True]
        why = texts(node.get("why")) or [", ".join(word(m.get("id")) for m in models) or "-"]
        rung = f"down, was {word(node.get('was'))}" if node.get("was") else word(node.get("rung"))
        rows.append([name, word(node.get("generation")), rung, shut, str(traffic[name]), why[0]])
    many = len(rows) > CALM
    rows.sort(key=lambda row: (row[2] == "ready" and row[3] == "closed", many and row[4] == "0"))
    return [["NODE", "GEN", "RUNG", "BREAKER", "NOW", "MODELS, OR WHY NOT"], *rows]


def _providers(picture: Picture) -> Rows:
    traffic = Counter(word(each.get("target")) for each in picture.requests)
    shut = {
        word(each.get("target")): word(each.get("state"))
        for each in picture.breakers
        if each.get("model") is None
    }
    rows: Rows = []
    for each in picture.providers:
        name = word(each.get("name"))
        state = [name, word(each.get("state")), shut.get(name, "-"), str(traffic[name])]
        rows.append([*state, word(each.get("why"))])
    return [["PROVIDER", "STATE", "BREAKER", "NOW", "WHY"], *rows]


def _running(picture: Picture, now: float) -> Rows:
    """List what runs, and what waits."""
    rows: Rows = []
    for each in picture.requests:
        since = moment(stamp(each.get("since")))
        prefill = fields(each.get("prefill"))
        state = word(each.get("state"))
        if prefill:
            state = f"prefill {count(prefill.get('done'))}/{count(prefill.get('total'))}"
        elif each.get("why"):
            state += f" for {word(each.get('why'))}"
        lasting = "-" if since is None else span(now - since)
        short = word(each.get("id"))[-_SHOWN_ID:]
        rows.append([short, lasting, state, word(each.get("target")), word(each.get("model"))])
    return [["REQUEST", "FOR", "STATE", "TARGET", "MODEL"], *rows]


def _moves(picture: Picture) -> Rows:
    """List the last moves of traffic and the breakers that opened, the newest first."""
    told: list[tuple[str, list[str]]] = []
    for each in objects(picture.shifts.get("shifts")):
        way = f"{word(each.get('from'))} -> {word(each.get('to'))}"
        what = [way, word(each.get("reason")), word(each.get("model"))]
        told.append((stamp(each.get("since")) or "", what))
    for each in objects(picture.shifts.get("trips")):
        what = ["breaker opened", word(each.get("reason")), word(each.get("target"))]
        told.append((stamp(each.get("at")) or "", what))
    told.sort(key=lambda row: row[0], reverse=True)
    return [["AT", "MOVE", "REASON", "OF"], *([_clock(at), *what] for at, what in told)]


def _clock(at: str) -> str:
    instant = moment(at)
    return "-" if instant is None else strftime("%H:%M:%S", localtime(instant))


def _fitted(sections: Sequence[Rows], room: int) -> list[str]:
    """Give each section its heading and a row, and the rest of the room in turn."""
    shown = [2] * len(sections)
    left = room - sum(shown) - len(sections)
    while left > 0:
        short = [at for at, rows in enumerate(sections) if shown[at] < len(rows)]
        if not short:
            break
        for at in short[:left]:
            shown[at] += 1
        left -= len(short)
    drawn: list[str] = []
    for rows, many in zip(sections, shown, strict=True):
        drawn += ["", *_table(rows, many)]
    return drawn


def _table(rows: Rows, many: int) -> list[str]:
    hidden = len(rows) - many
    if hidden > 0 and many > 1:
        rows, hidden = rows[: many - 1], hidden + 1
    widths = widths_of(rows)
    drawn = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return [*drawn, f"... and {hidden} more"] if hidden > 0 else drawn


def _joined(parts: Sequence[str], mark: str, width: int) -> list[str]:
    """Join parts to lines, broken between parts where they would not fit."""
    told = [parts[0]]
    for part in parts[1:]:
        if len(told[-1]) + len(mark) + len(part) <= width:
            told[-1] += mark + part
        else:
            told.append(f"     {part}")
    return told


def _figure(value: object) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.0f}" if is_number else "0"


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode()
