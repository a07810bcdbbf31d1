"""`why` asks for what was named, tells it in lines that fit a screen, and keeps JSON as it came."""

import json
from typing import Any

import pytest

from tests.cli.conftest import Service, whole

Out = pytest.CaptureFixture[str]

ID = "01J9ZQ6C7TKWN4Y2A8B3C5D6E7"
TRIED: dict[str, Any] = {
    "number": 1, "target": "192.168.1.5:52415", "model": "m", "began": 0.0, "ended": 75.5,
    "head": 0.5, "first": 0.7, "connected": 0.1, "silence": 61.0, "fault": "stall", "status": 200,
    "message": "it says so", "why": "fastest", "waited": "model", "moved": True,
    "passed": [{"target": "p", "reason": "budget_spent", "detail": "", "ends": None}],
    "compared": [{"target": "192.168.1.5:52415", "wait": 0.2}, {"target": "n:1", "wait": 0.35}],
}  # fmt: skip
ENDED: dict[str, Any] = {
    "id": ID, "model": "chat", "state": "ended", "full": True, "since": "2026-03-01T09:14:20Z",
    "client": "default", "dialect": "openai", "outcome": "failure", "code": "attempts_failed",
    "status": 502, "duration": 75.6, "tried": [TRIED], "passed": [], "waited": None,
    "breakers": [{"target": "192.168.1.5:52415", "model": "m", "state": "open", "reason": "r"}],
}  # fmt: skip
MISSING = {"error": {"message": "no such request", "code": "request_not_found"}}
NO_MODEL = json.dumps({"error": {"message": "no such model", "code": "model_not_found"}}).encode()


def lines(capsys: Out) -> list[str]:
    told = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 and line.isascii() for line in told), told
    return told[1:]  # the first says how long ago it was


def test_a_request_is_told_from_its_end_to_what_to_do(service: Service, capsys: Out) -> None:
    service.says(f"GET /supervisor/requests/{ID}", {"request": ENDED})
    assert service.main("why", ID) == 0
    assert lines(capsys) == [
        "          client default, openai",
        "ended     failed after 1 min 15 s (attempts_failed, status 502)",
        "because   192.168.1.5:52415: fastest of 2: expected 0.200 s, n:1 0.350 s",
        "          its conversation had its cache elsewhere, which could not be asked",
        "          it waited for the model to be placed, until 0.000 s",
        "not       192.168.1.5:52415: tried, it fell silent in its answer, status 200: it",
        "            says so",
        "          p: its budget has nothing for it",
        "timeline    0.000 s  asks 192.168.1.5:52415 as m",
        "            0.100 s  connected",
        "            0.500 s  head",
        "            0.700 s  first content",
        "                     its longest silence was 1 min 1 s",
        "           75.500 s  it fell silent in its answer",
        "           75.600 s  its client is told attempts_failed",
        "breaker   192.168.1.5:52415 m: opened by this request (r)",
        "try       exo-supervisor nodes",
    ]


def test_the_json_is_what_the_service_says(service: Service, capsys: Out) -> None:
    body = b'{"request": {"id":  "x"}}'
    service.on(f"GET /supervisor/requests/{ID}", whole(body))
    service.on("GET /supervisor/requests?last=1", whole(b'{"ended":  []}'))
    assert service.main("why", "--json", ID) == 0
    assert service.main("why", "--last", "--json") == 0
    assert capsys.readouterr().out == body.decode() + "\n" + '{"ended":  []}\n'


def test_the_last_one_is_told_where_there_is_one(service: Service, capsys: Out) -> None:
    service.says("GET /supervisor/requests?last=1", {"ended": [{**ENDED, "full": False}]})
    assert service.main("why", "--last") == 0
    told = "rest      it is another client's: who may give orders is told all of it"
    assert lines(capsys)[-1] == told
    service.says("GET /supervisor/requests?last=1", {"ended": []})
    assert service.main("why", "--last") == 1
    assert "error: no request has ended yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"state": "waiting", "why": "turn"}, "now       it waits for its turn"),
        ({"state": "asked", "target": "n:1", "attempts": 2}, "now       asked by n:1, attempt 2"),
    ],
)
def test_one_under_way_says_how_far_it_is(
    service: Service, capsys: Out, row: dict[str, Any], told: str
) -> None:
    service.says(f"GET /supervisor/requests/{ID}", {"request": {"id": ID, "model": "m", **row}})
    assert service.main("why", ID) == 0
    assert lines(capsys) == [told]


def test_what_looks_like_an_id_may_be_a_model(service: Service, capsys: Out) -> None:
    service.on("GET /supervisor/requests/01ai", whole(MISSING, 404))
    choice = {"target": "p", "model": "x", "why": "in_turn", "compared": TRIED["compared"]}
    service.says("GET /supervisor/models/01ai", {"model": {"id": "01ai"}, "choice": choice})
    assert service.main("why", "01ai") == 0
    assert lines(capsys) == ["goes to   p as x", "because   its turn came, of 2"]
    service.on(f"GET /supervisor/requests/{ID}", whole(MISSING, 404))
    assert service.main("why", ID) == 1
    assert capsys.readouterr().err.startswith("error: no such request\n")


def test_what_is_neither_a_request_nor_a_model_is_told_as_that(
    service: Service, capsys: Out
) -> None:
    service.on("GET /supervisor/requests/01zzzz", whole(MISSING, 404))
    service.on("GET /supervisor/models/01zzzz", whole(NO_MODEL, 404))
    assert service.main("why", "01zzzz") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: 01zzzz is no request of the last 1,000, and no model",
        "  try: exo-supervisor why --last",
    ]
    service.on("GET /supervisor/models/nosuch", whole(NO_MODEL, 404))
    assert service.main("why", "nosuch") == 1
    assert capsys.readouterr().err.startswith("error: no such model\n")


def test_a_model_that_nothing_can_serve_says_what_would_be_told(
    service: Service, capsys: Out
) -> None:
    refusal = {"status": 503, "code": "no_target", "message": "nothing can serve 'm' now"}
    gone = {"target": "n:1", "reason": "exo_down", "detail": "nothing answers there"}
    choice = {"target": None, "refusal": refusal, "passed": [gone]}
    service.says("GET /supervisor/models/org%2Fm", {"model": {"id": "m"}, "choice": choice})
    assert service.main("why", "org/m") == 0
    assert lines(capsys) == [
        "goes      it would be refused: nothing can serve 'm' now (no_target)",
        "not       n:1: down, nothing answers there",
        "try       exo-supervisor nodes",
    ]
    service.says("GET /supervisor/models/card", {"model": {"id": "card"}, "choice": None})
    assert service.main("why", "card") == 0
    assert lines(capsys) == [
        "goes      nowhere: Exo knows it, but no node runs it",
        "try       exo-supervisor models place card",
    ]


def test_each_move_of_traffic_is_told_with_what_led_to_it(service: Service, capsys: Out) -> None:
    failed = {"fault": "connect", "ago": 0.25, "request_id": ID}
    evidence = [
        {"target": "n:2", "reason": "attempt_failed", "detail": "empty"},
        {"target": "n:1", "reason": "breaker_open", "detail": "last connect", "failures": [failed]},
    ]
    move = {
        "model": "chat", "from": "exo", "to": "cloud", "reason": "breaker_open", "until": "x",
        "since": "?", "duration": 123.4, "requests": 1, "cost_microdollars": 1_000_003,
        "evidence": evidence, "request_id": ID,
    }  # fmt: skip
    back = {**move, "to": "exo", "from": "cloud", "reason": "recovered", "until": None}
    back |= {"evidence": [], "request_id": None}
    service.says("GET /supervisor/shifts", {"currency": "EUR", "shifts": [back, move]})
    assert service.main("why", "--shift") == 0
    assert lines(capsys) == [
        "lasted    2 min 3 s so far",
        "",
        "shift     chat from exo to cloud, ?: breaker_open",
        "lasted    2 min 3 s",
        "took      1 request, cost 1.000003 EUR",
        "evidence  n:2: tried, an empty answer",
        "          n:1: its breaker is open, last connect",
        f"            it took no connection 0.250 s before, by {ID}",
        f"first     exo-supervisor why {ID}",
    ]
    service.says("GET /supervisor/shifts", {"shifts": []})
    assert service.main("why", "--shift") == 0
    assert capsys.readouterr().out == "Traffic has not moved since the start.\n"


@pytest.mark.parametrize("words", [(), (ID, "--last"), ("--last", "--shift"), (ID, "m")])
def test_one_thing_is_asked_at_a_time(
    service: Service, capsys: Out, words: tuple[str, ...]
) -> None:
    assert service.main("why", *words) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not service.seen


def test_odd_bytes_are_sent_as_they_are(service: Service, capsys: Out) -> None:
    service.on("GET /supervisor/models/%FF..%2F%0A", whole(json.dumps(MISSING).encode(), 404))
    assert service.main("why", "\udcff../\n") == 1
    assert "no such request" in capsys.readouterr().err
