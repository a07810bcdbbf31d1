"""`ledger` says what was paid and saved, and `reconcile` what a provider has written otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

from exo_supervisor.cli.errors import USAGE
from exo_supervisor.views.booked import Sum, Sums
from tests.cli.conftest import Service, whole

pytestmark = pytest.mark.real_time
Out = pytest.CaptureFixture[str]
ASKED = "GET /supervisor/ledger?by=day"
KIDS = Sum(3, 4, 1400, 200, 900, 50, 1, 2, 3_120_000_000, 3_200_000_000, 3_100_000_000)
OFFICE = Sum(1200, 1200, 140_000, 0, 90_000, local_cost=20_000_000, saved=1_250_000_000_000)


def body(*rows: tuple[str, Sum], by: str = "day", **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    total = sum((figures for _, figures in rows), Sum())
    return {"currency": "USD", "by": by, **Sums(list(rows), total, 0).shown(), **more}


def test_the_total_stands_last_and_what_saved_means_is_said(service: Service, capsys: Out) -> None:
    service.says(ASKED, body(("2026-11-22", KIDS), ("2026-11-23", OFFICE)))
    assert service.main("ledger") == 0
    assert capsys.readouterr().out == (
        "REQUESTS  PROMPT  CACHED  COMPLETION  COST    LOCAL    SAVED   DAY\n"
        "3         1400    200     900         0.0031  0.0000   0.0000  2026-11-22\n"
        "1200      140000  0       90000       0.0000  <0.0001  1.2500  2026-11-23\n"
        "1203      141400  200     90900       0.0031  <0.0001  1.2500  total\n"
        "Money is in USD; days are UTC's. Of 1 attempts the tokens are reckoned. Of 2\n"
        "attempts nobody knows the price: they are not in COST. What COST has as 0.0031\n"
        "the providers themselves told as 0.0032 USD.\n"
        "SAVED is counterfactual: what [ledger] reference would have asked for the\n"
        "tokens of Exo's whole answers. LOCAL is what Exo's power cost; take it off.\n"
    )


def test_what_is_nothing_is_not_shown(service: Service, capsys: Out) -> None:
    plain = Sum(1, 1, 14, 0, 11, cost=10**12)
    service.says("GET /supervisor/ledger?by=model&since=30d", body(("m", plain), by="model"))
    assert service.main("ledger", "--by", "model", "--since", "30d") == 0
    assert capsys.readouterr().out == (
        "REQUESTS  PROMPT  CACHED  COMPLETION  COST    MODEL\n"
        "1         14      0       11          1.0000  m\n"
        "1         14      0       11          1.0000  total\n"
        "Money is in USD; days are UTC's.\n"
    )
    service.says(ASKED, body())
    assert service.main("ledger") == 0
    assert capsys.readouterr().out == "Nothing is booked of that time.\n"


def test_money_of_another_currency_is_named_and_can_be_asked_for(
    service: Service, capsys: Out
) -> None:
    plain = Sum(1, 1, 14, 0, 11, cost=10**12)
    others = "What was booked in CHF, EUR is not in it: exo-supervisor ledger --currency CHF\n"
    service.says(ASKED, body(("2026-11-22", plain), others=["CHF", "EUR"]))
    assert service.main("ledger") == 0
    assert capsys.readouterr().out.endswith(others)
    assert service.main("ledger", "--csv") == 0
    assert capsys.readouterr().err == f"warning: {others}"
    service.says(ASKED, body(others=["CHF", "EUR"]))
    assert service.main("ledger") == 0
    assert capsys.readouterr().out == f"Nothing is booked of that time. {others}"
    service.says(f"{ASKED}&currency=CHF", body(("2026-11-22", plain)))
    assert service.main("ledger", "--currency", "CHF") == 0


@pytest.mark.parametrize(
    ("words", "query", "got"),
    [
        (("--since", "tomorrow"), "since=tomorrow", "`tomorrow`"),
        (("--currency", "euro"), "currency=euro", "`euro`"),
        (("--since", "1d", "--until", "x\x1b"), "since=1d&until=x%1B", "`1d`, `x`"),
    ],
)
def test_what_the_service_does_not_understand_was_said_wrongly(
    service: Service, capsys: Out, words: tuple[str, ...], query: str, got: str
) -> None:
    error = {"message": "since is a day of UTC", "type": "x", "param": "since", "code": "bad_value"}
    service.on(f"{ASKED}&{query}", whole(json.dumps({"error": error}).encode(), 400))
    assert service.main("ledger", *words) == USAGE
    assert capsys.readouterr().err.splitlines() == [
        f"error: since is a day of UTC, got {got}", "  try: exo-supervisor ledger --since 30d",
    ]  # fmt: skip


def test_csv_has_every_figure_unrounded_and_json_is_the_body(service: Service, capsys: Out) -> None:
    more = {"stopped": "the disk is full: make room", "aside": "/x/ledger.db.torn-1Z"}
    told = body(("2026-11-22", KIDS), **more)
    service.says(ASKED, told)
    assert service.main("ledger", "--csv") == 0
    said = capsys.readouterr()
    head, row, total = said.out.splitlines()
    assert head.startswith("key,requests,attempts,prompt_tokens,")
    assert row == "2026-11-22,3,4,1400,200,900,50,1,2,0.00312,0.0032,0.0031,0.00,0.00"
    assert total.partition(",")[0] == "total"
    assert said.err.splitlines() == [
        "warning: nothing is booked now: the disk is full: make room",
        "warning: an earlier ledger was torn, and its rows are in no sum: /x/ledger.db.torn-1Z",
    ]
    assert service.main("ledger", "--json") == 0
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_name_is_a_formula_to_a_spreadsheet(service: Service, capsys: Out, name: str) -> None:
    service.says("GET /supervisor/ledger?by=model", body((name, KIDS), ("m=1", KIDS), by="model"))
    assert service.main("ledger", "--by", "model", "--csv") == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.partition(",")[0] for row in rows[1:]] == [f"'{name}", "m=1", "total"]


def booked(name: str, cost: str | None, number: int = 1) -> dict[str, object]:
    return {"id": number, "response_id": name, "cost": cost}


def attempts(service: Service, query: str, *rows: dict[str, object]) -> None:
    """Have the service list these, and then no more."""
    path = f"GET /supervisor/ledger/attempts?{query}&after="
    service.says(f"{path}0", {"attempts": list(rows)})
    service.says(f"{path}{rows[-1]['id']}", {"attempts": []})


EXPORT = """\
generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug
gen-1,2026-11-22 10:00:00.123,0.0021,100,50,vendor/m
gen-2,2026-11-22 10:00:01.123,0.0300,100,50,vendor/m
gen-3,2026-11-23 10:00:02.123,0.0004,100,50,vendor/m
"""
SPAN = "target=openrouter&since=2026-11-22&until=2026-11-24"


def test_what_two_books_say_otherwise_is_named_and_fails(
    service: Service, capsys: Out, tmp_path: Path
) -> None:
    file = tmp_path / "activity.csv"
    file.write_text(EXPORT)
    attempts(
        service, SPAN, booked("gen-1", "0.002104"), booked("gen-2", "0.02"),
        booked("gen-4", "1.00", 5),
    )  # fmt: skip
    words = ("ledger", "reconcile", str(file), "--target", "openrouter")
    assert service.main(*words) == 1
    assert capsys.readouterr().out == (
        "1 with another cost:\n"
        "  gen-2  ours 0.02  theirs 0.0300\n"
        "1 in their list, not booked here:\n"
        "  gen-3  ours -  theirs 0.0004\n"
        "1 booked here, not in their list:\n"
        "  gen-4  ours 1.00  theirs -\n"
        "1 answers of openrouter agree, 3 do not, from 2026-11-22 to before 2026-11-24 (UTC).\n"
    )


@pytest.mark.parametrize(
    "told",
    [
        {"data": {"id": "gen-1", "total_cost": 0.0021, "created_at": "2026-11-22T10:00:00Z"}},
        [{"data": {"id": "gen-1", "total_cost": 0.0021, "created_at": "2026-11-22T10:00:00Z"}}],
        {"data": [{"response_id": "gen-1", "cost": "0.0021", "ts": "2026-11-22T10:00:00Z"}]},
    ],
)
def test_lists_in_json_are_read_and_one_provider_needs_no_name(
    service: Service, capsys: Out, tmp_path: Path, told: object
) -> None:
    file = tmp_path / "list.json"
    file.write_text(json.dumps(told))
    service.says("GET /supervisor/status", {"providers": [{"name": "openrouter"}]})
    attempts(service, SPAN.replace("24", "23"), booked("gen-1", "0.0021"))
    assert service.main("ledger", "reconcile", str(file)) == 0
    assert "1 answers of openrouter agree, 0 do not" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("date,model,cost\n2026-11-22,m,0.1\n", "row 1 has no id"),
        ("id,cost\ngen-1,much\n", "row 1 has a cost that is no number"),
        ("id,cost\ngen-1,NaN\n", "row 1 has a cost that is no number"),
        ("id,cost\ngen-1,1e999999999\n", "row 1 has a cost that is no number"),
        ("id,cost\ngen-1,1e-999999999\n", "row 1 has a cost that is no number"),
        (f"id,cost\ngen-1,0.{'1' * 400}\n", "row 1 has a cost that is no number"),
        ('{"data": [', "it is no JSON"),
        ('{"data": [{"amount": {"value": 0.06}, "line_item": null}]}', "row 1 has no id"),
    ],
)
def test_what_names_no_answers_is_no_list(
    service: Service, capsys: Out, tmp_path: Path, content: str, why: str
) -> None:
    file = tmp_path / "list"
    file.write_text(content)
    assert service.main("ledger", "reconcile", str(file)) == 1
    assert why in capsys.readouterr().err


def test_what_is_charged_twice_differs_and_a_text_may_have_lines(
    service: Service, capsys: Out, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        'id,cost,note\r\ngen-1,0.1,"a\vb\u2028c\nd"\r\ngen-2,0.2,\r\ngen-2,0.2,\r\n', newline=""
    )
    service.says("GET /supervisor/status", {"providers": [{"name": "openrouter"}]})
    attempts(service, "target=openrouter", booked("gen-1", "0.1"), booked("gen-2", "0.2", 2))
    assert service.main("ledger", "reconcile", str(file)) == 1
    assert "gen-2  ours 0.2  theirs 0.4\n1 answers" in capsys.readouterr().out


def test_a_file_that_is_not_there_and_words_that_are_none(service: Service, capsys: Out) -> None:
    assert service.main("ledger", "reconcile", "/no/such/file") == 1
    assert "no such file" in capsys.readouterr().err
    for words in (("reconcile",), ("compare", "x"), ("--target", "x")):
        assert service.main("ledger", *words) == 2
