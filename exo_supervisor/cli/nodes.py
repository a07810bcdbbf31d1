"""The nodes as text for eyes: a table, their machines, what holds one back, how each was found."""

from io import StringIO
from typing import TextIO

from exo_supervisor.cli.json_view import stamp, texts
from exo_supervisor.cli.json_view import word as w
from exo_supervisor.cli.term import SCREEN, WIDTH, moment, span, table, wrapped
from exo_supervisor.client.json_object import Fields, count, fields, objects, values

STUCK = 60.0
"""Seconds on one rung from which a node is called stuck there."""
_GIB, _MOST_MEMORY, _MOST = 2**30, 2**60, 10_000


def nodes(body: Fields, now: float, stream: TextIO) -> str:
    """List the nodes and what is known of their machines, then why a node is held back.

    Of each such node it says for how long, why, and what to do.
    """
    known = objects(body.get("nodes"))
    if not known:
        return "No Exo node found: exo-supervisor status says where it looked"
    rows = [["ID", "GENERATION", "CLUSTER", "RUNG", "BREAKER", "MODELS"]]
    told: list[str] = []
    for node in known:
        identity, rung = w(node.get("id")), w(node.get("rung"))
        rung = "down" if node.get("was") else rung
        placed = len(values(node.get("models")))
        state = w(fields(node.get("breaker")).get("state"))
        place = [w(node.get("generation")), w(node.get("cluster"))]
        rows.append([identity, *place, rung, state, str(placed) if placed else "-"])
        told += _held_back(node, identity, rung, now)
    told += [*_found_by(known), *_trusted(known)]
    second = machines(known, stream)
    gap = [""] if second and told else []
    listed = table(rows, stream, tinted=(3, 4))
    if max(map(len, table(rows, StringIO()).splitlines())) > SCREEN:
        rows[0][1] = "GEN"
        listed = table(rows, stream, tinted=(3, 4), own_line=0)
    return "\n".join([listed, *second, *gap, *told])


def _found_by(known: list[Fields]) -> list[str]:
    """Tell by which ways of discovery each node was found."""
    ways: dict[str, list[str]] = {}
    for node in known:
        if sources := texts(node.get("sources")):
            ways.setdefault(", ".join(sources), []).append(w(node.get("id")))
    return [
        line
        for way, found in ways.items()
        for line in wrapped(f"found by {way}: {', '.join(found)}", WIDTH, "  ")
    ]


def _trusted(known: list[Fields]) -> list[str]:
    """Tell on which ground each node is trusted, and how those are that are only found."""
    grounds = [(w(node.get("id")), w(node.get("trust"))) for node in known if node.get("trust")]
    found = [identity for identity, ground in grounds if ground == "found"]
    if not found:
        return []
    trusted = [f"{identity} ({ground})" for identity, ground in grounds if ground != "found"]
    lines = [f"trusted: {', '.join(trusted)}"] if trusted else []
    which = found[0] if len(found) == 1 else "--all"
    return [
        *lines,
        f"only found: {', '.join(found)}: what must stay in the house does not go there",
        f"  try: exo-supervisor nodes trust {which}",
    ]


def machines(nodes: list[Fields], stream: TextIO) -> list[str]:
    """List what is known of the nodes' machines; columns of which nothing is known are left out."""
    heads = ["ID", "FREE", "GPU", "CPU", "TEMP", "POWER", "CHIP"]
    rows: list[list[str]] = []
    for node in nodes:
        known = fields(node.get("capacity"))
        gauges = [_gauge(known.get(key), "%", scale=100) for key in ("gpu", "cpu")]
        gauges += [_gauge(known.get("temperature"), "C"), _gauge(known.get("power"), "W")]
        row = [_memory(known), *gauges, w(known.get("chip"))]
        if set(row) != {"-"}:
            rows.append([w(node.get("id")), *row])
    kept = [at for at in range(len(heads)) if any(row[at] != "-" for row in rows)]
    lines = [[row[at] for at in kept] for row in [heads, *rows]]
    return ["", *(line[:80] for line in table(lines, stream).splitlines())] if rows else []


def _memory(known: Fields) -> str:
    """Say how much memory is free, and of how much; generation A tells only how much there is."""
    total, free = count(known.get("memory_total")), known.get("memory_available")
    if not 0 < total < _MOST_MEMORY:
        return "-"
    left = "?" if free is None else str((count(free) + _GIB // 2) // _GIB)
    return f"{left} of {(total + _GIB // 2) // _GIB} GiB"


def _gauge(value: object, unit: str, *, scale: int = 1) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        return "-"
    return f"{value * scale:.0f} {unit}"


def _held_back(node: Fields, identity: str, rung: str, now: float) -> list[str]:
    why, advice = texts(node.get("why")), texts(node.get("advice"))
    if not why and not advice:
        return []
    at = moment(stamp(node.get("since")))
    lasting = f" for {span(now - at)}" if at is not None else ""
    if node.get("was"):  # `why` says since when
        return [f"{identity} is down", *_part("why", why), *_part("try", advice)]
    long = at is not None and now - at >= STUCK
    stands = f'{identity} {"stuck " if long else ""}at "{rung}"'
    stuck = stands if rung != "ready" else f"{identity} ready"
    return [stuck + lasting, *_part("why", why), *_part("try", advice)]


def _part(label: str, said: list[str]) -> list[str]:
    lines = [line for text in said for line in wrapped(text, WIDTH - 7)]
    return [f"  {label + ':' if place == 0 else '':<4} {line}" for place, line in enumerate(lines)]
