"""Money is told in a line: whose it is, what of it is gone, what is held."""

from exo_supervisor.cli.books import budget
from exo_supervisor.client.json_object import Fields

ROW: Fields = {"scope": "house", "name": None, "span": "day", "currency": "EUR", "limit": "1.00"}


def test_a_budget_is_a_line() -> None:
    assert budget({**ROW, "spent": "0.97", "held": "0.00"}) == "house: 0.97 of 1.00 EUR a day"
    unread: Fields = {**ROW, "spent": "0.00", "held": "0.00", "why": "/x/ledger.db: shut: open it"}
    assert budget(unread) == (
        "house: nobody knows how much of 1.00 EUR a day is spent, so no cloud is asked: "
        "/x/ledger.db: shut: open it"
    )
    kids: Fields = {**ROW, "scope": "client", "name": "kids", "spent": "0.00", "held": "0.05"}
    assert budget(kids) == "kids: 0.00 of 1.00 EUR a day, 0.05 held"
