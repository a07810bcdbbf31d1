"""`top` in lines: what is wrong first, nothing beyond the screen, and nothing that it obeys."""

import re
from typing import Any

import pytest

from exo_supervisor.cli.top_view import Picture, lines
from exo_supervisor.client.json_object import Fields

NOW = 1_772_366_400.0  # 12:00 UTC
STAMP = "2026-03-01T11:59:30.000Z"


def node(name: str, rung: str = "ready", **more: object) -> Fields:
    model = {"id": "llama-3.2-3b", "ready": True}
    return {
        "id": name, "generation": "C", "rung": rung, "breaker": {"state": "closed"},
        "models": [model], **more,
    }  # fmt: skip


def house(**more: Any) -> Picture:  # noqa: ANN401 - parts of a picture
    picture = Picture()
    picture.heard = NOW
    picture.now = {
        "verdict": {"level": "well", "parts": ["ready", "Exo serves", "2 now", "cloud 3 % today"]},
        "running": 2, "waiting": 1, "tokens_per_second": {"exo": 33.6, "cloud": 0},
        "requests": {"total": 1284, "exo": 1240, "cloud": 41, "failed": 3},
    }  # fmt: skip
    picture.nodes = [node("192.168.1.5:52415"), node("192.168.1.6:52415")]
    picture.providers = [{"name": "openrouter", "state": "ready", "why": None}]
    picture.breakers = [{"target": "openrouter", "model": None, "state": "closed"}]
    picture.requests = [
        {
            "id": "01J9ZZZZZZZZZZZZZZABCDEFGH", "model": "llama-3.2-3b", "state": "answering",
            "target": "192.168.1.6:52415", "since": STAMP,
        },
        {"id": "01J9ZZZZZZZZZZZZZZABCDEFGI", "model": "m", "state": "waiting", "why": "model",
         "target": None, "since": STAMP},
    ]  # fmt: skip
    picture.shifts = {
        "shifts": [{"from": "exo", "to": "cloud", "reason": "busy", "model": "m", "since": STAMP}],
        "trips": [{"target": "n:1", "reason": "trip_after", "at": "2026-03-01T10:00:00.000Z"}],
    }
    for name, part in more.items():
        setattr(picture, name, part)
    return picture


def drawn(picture: Picture, width: int = 80, height: int = 24, now: float = NOW) -> list[str]:
    return lines(picture, width, height, now)


def test_a_house_at_work_fits_a_screen() -> None:
    shown = [re.sub(r"\d\d:\d\d:\d\d", "TIME", line) for line in drawn(house())]
    assert shown == [
        "[ok] ready | Exo serves | 2 now | cloud 3 % today | TIME",
        "tok/s Exo 34, cloud 0 | waiting 1 | of 1284: exo 1240, cloud 41, failed 3",
        "",
        "NODE               GEN  RUNG   BREAKER  NOW  MODELS, OR WHY NOT",
        "192.168.1.5:52415  C    ready  closed   0    llama-3.2-3b",
        "192.168.1.6:52415  C    ready  closed   1    llama-3.2-3b",
        "",
        "PROVIDER    STATE  BREAKER  NOW  WHY",
        "openrouter  ready  closed   0    -",
        "",
        "REQUEST     FOR   STATE              TARGET             MODEL",
        "ZZABCDEFGH  30 s  answering          192.168.1.6:52415  llama-3.2-3b",
        "ZZABCDEFGI  30 s  waiting for model  -                  m",
        "",
        "AT        MOVE            REASON      OF",
        "TIME  exo -> cloud    busy        m",
        "TIME  breaker opened  trip_after  n:1",
    ]


@pytest.mark.parametrize("width", [1, 20, 60, 79, 80, 132, 300])
@pytest.mark.parametrize("height", [1, 3, 8, 24, 60])
def test_no_picture_is_larger_than_the_screen(width: int, height: int) -> None:
    nodes = [node(f"10.0.{at // 250}.{at % 250}:52415") for at in range(1000)]
    shown = drawn(house(nodes=nodes), width, height)
    assert len(shown) <= height
    assert max(map(len, shown)) <= max(width, 20)
    assert shown[0].startswith("[ok] ready")


def test_what_is_not_well_stands_first_and_what_does_not_fit_is_counted() -> None:
    nodes = [node(f"10.0.0.{at}:52415") for at in range(1, 200)]
    nodes.append(node("192.168.1.6:52415"))
    nodes.append(node("10.0.0.250:52415", "seen", why="connection refused"))
    nodes.append(node("10.0.0.251:52415", "seen", was="ready", why="timed out"))
    nodes.append(node("10.0.0.252:52415", breaker={"state": "open"}))
    shown = drawn(house(nodes=nodes), height=30)
    at = shown.index(next(line for line in shown if line.startswith("NODE")))
    assert [line.split()[0] for line in shown[at + 1 : at + 4]] == [
        "10.0.0.250:52415", "10.0.0.251:52415", "10.0.0.252:52415",
    ]  # fmt: skip
    assert "down, was ready" in shown[at + 2]
    hidden = next(line for line in shown if line.startswith("... and "))
    rows = shown.index(hidden) - at - 1
    assert shown[at + 4].split()[0] == "192.168.1.6:52415", "the one that works"
    assert hidden == f"... and {203 - rows} more"


def test_a_service_that_is_gone_is_said_before_its_last_words() -> None:
    (first, *_) = drawn(house(lost="no service answers"), width=200, now=NOW + 65)
    assert re.fullmatch(
        r"\[XX\] no service since \d\d:\d\d:\d\d, 1 min 5 s ago \(no service answers\);"
        r" before that: \| ready \| .*",
        first,
    )


def test_one_that_says_nothing_is_not_called_fresh() -> None:
    assert drawn(house(), now=NOW + 11)[0].startswith("[ok] ready")
    assert drawn(house(), now=NOW + 13)[0].startswith("[ok] no word for 13 s | ready")


def test_an_empty_house_is_drawn_too() -> None:
    picture = Picture()
    assert drawn(picture)[0].startswith("[ ?] no word for")


@pytest.mark.parametrize("name", ["\x1b[2Jx", "a\nb", "\u202eevil", "\x9b31m", "caf\u00e9\u4e2d"])
def test_a_hostile_name_moves_nothing(name: str) -> None:
    picture = house(
        nodes=[node(name, why=name)],
        providers=[{"name": name, "state": name, "why": name}],
        requests=[{"id": name, "model": name, "state": name, "target": name, "since": name}],
        shifts={"shifts": [{"from": name, "to": name, "reason": name, "model": name}]},
    )
    picture.now["verdict"] = {"level": name, "parts": [name]}
    for line in drawn(picture):
        assert re.fullmatch(r"[\x20-\x7e]*", line)


@pytest.mark.parametrize("odd", [None, 7, "x", [], [None], {"verdict": 3}, {"requests": [1]}])
def test_what_is_no_view_is_drawn_as_nothing(odd: object) -> None:
    """A service of another version may say what it likes."""
    picture = house(shifts={"shifts": odd, "trips": odd}, ledger={"total": odd, "stopped": odd})
    picture.now = {"verdict": odd, "tokens_per_second": odd, "requests": odd, "waiting": odd}
    picture.nodes = [{"id": odd, "breaker": odd, "models": odd, "why": odd, "was": odd}]
    assert drawn(picture)


def test_what_today_cost_is_told_as_the_ledger_has_it() -> None:
    ledger = {"currency": "USD", "total": {"cost": "0.123456789", "saved": "1.5"}}
    assert "paid 0.1235 USD, saved 1.5000 today" in "\n".join(drawn(house(ledger=ledger)))
    ledger |= {"stopped": "no space left on device", "total": {"cost": None, "saved": []}}
    told = "\n".join(drawn(house(ledger=ledger), width=200))
    assert "paid - USD, saved - today | nothing is booked: no space left on device" in told


def test_events_that_were_missed_are_counted() -> None:
    assert "7 events missed" in "\n".join(drawn(house(missed=7)))
