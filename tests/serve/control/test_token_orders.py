"""Tokens are made, listed and ended by an admin alone, and each wrong way to ask has its error."""

import pytest
from structlog.testing import capture_logs

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule, Policy
from exo_supervisor.serve.clients import Clients, Who
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.token_orders import MAX_DAYS, TOKENS, TokenOrders
from exo_supervisor.serve.tokens import MAX_TOKENS, Token, Tokens
from tests.serve.control.asked import House


class Office:
    """A house whose tokens are kept, as long as there is room on its disk."""

    def __init__(self, *made: Token) -> None:
        self.full = False
        self.tokens = Tokens(lambda: 1e6, made=made, write=self._keep)
        clients = Clients([Who(ClientRule("kids")), Who(ClientRule("guests"))])
        orders = TokenOrders(self.tokens, clients, Authority())
        self.house = House(Policy(), below={TOKENS: orders.look})

    async def _keep(self, content: bytes) -> None:
        if self.full:
            raise OSError(28, "no room", len(content))

    async def ask(self, method: str, path: str) -> dict[str, object]:
        said = await self.house.ask(method, f"/supervisor/tokens{path}")
        assert said.status == 200, said.body
        assert said.headers["cache-control"] == "no-store"
        return said.body


async def test_a_token_is_made_listed_and_revoked() -> None:
    office = Office()
    made = await office.ask("POST", "/kids/new?days=2")
    assert office.tokens.client_of(str(made.pop("token"))) == "kids"
    made_at, expires = str(made["made"]), str(made["expires"])
    assert (made_at[:11], expires[:11]) == ("1970-01-12T", "1970-01-14T")
    assert (made_at[19:], expires[19:]) == ("Z", "Z")
    assert set(made) == {"id", "client", "made", "expires"}
    for method in ("GET", "HEAD"):
        assert await office.ask(method, "") == {"tokens": [made]}
    assert (await office.ask("POST", f"/{DEFAULT_CLIENT.name}/new"))["expires"] is None
    assert await office.ask("POST", "/kids/revoke") == {"revoked": [made["id"]]}


WRONG = [
    ("POST", "/guest/new", 404, "target_not_found", "of this name; similar: guests"),
    ("POST", "/zzzzzz/new", 404, "target_not_found", "has no [[client]] of this name"),
    *(("POST", f"/kids/new?days={days}", 400, "wrong_type", f"whole number from 1 to {MAX_DAYS}")
      for days in ("0", "-1", "1e3", "", "x", "\u0665", "36501", "999999999")),
    ("POST", "/kids/revoke", 404, "target_not_found", "there is no such token"),
    ("POST", "/kids/renew", 404, "route_not_found", "/supervisor/tokens/NAME/new or /revoke"),
    ("POST", "/new", 404, "route_not_found", "/supervisor/tokens/NAME/new or /revoke"),
    ("GET", "/kids/new", 405, "method_not_allowed", "NAME/new and /revoke takes POST"),
    ("POST", "", 405, "method_not_allowed", "/supervisor/tokens takes GET"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status", "code", "words"), WRONG)
async def test_what_is_asked_wrongly_has_its_error(
    method: str, path: str, status: int, code: str, words: str
) -> None:
    said = await Office().house.ask(method, f"/supervisor/tokens{path}")
    assert said.error[:2] == (status, code)
    assert words in said.error[2]
    assert said.body["error"]["param"] == ("days" if code == "wrong_type" else None)


async def test_a_token_may_hold_for_a_day_or_for_very_long() -> None:
    for days in ("1", "36500", "00036"):
        assert (await Office().ask("POST", f"/kids/new?days={days}"))["expires"]


async def test_what_cannot_be_kept_is_told_and_so_is_a_full_table() -> None:
    office = Office()
    [made] = [await office.ask("POST", "/kids/new")]
    office.full = True
    with capture_logs() as lines:
        for path, words in (
            ("/kids/new", "no token was made"), (f"/{made['id']}/revoke", "it holds no more"),
        ):  # fmt: skip
            said = await office.house.post(f"/supervisor/tokens{path}")
            assert said.error[:2] == (500, "internal")
            assert words in said.error[2]
    told = [(each["event"], each.get("why")) for each in lines]
    assert told.count(("tokens_unwritable", "no room")) == 2
    office = Office(*(Token(f"{n}", "kids", f"{n:064x}", 0.0) for n in range(MAX_TOKENS)))
    assert (await office.house.post("/supervisor/tokens/kids/new")).error[:2] == (503, "overloaded")


async def test_a_line_tells_of_what_was_made_and_ended_and_of_no_token() -> None:
    office = Office()
    with capture_logs() as lines:
        made = await office.ask("POST", "/kids/new")
        await office.ask("POST", f"/{made['id']}/revoke")
        await office.ask("GET", "")
        await office.house.post(f"/supervisor/tokens/{made['token']}/renew")
    assert [(each["event"], each.get("order")) for each in lines] == [
        ("order_given", "token new"), ("token_made", None),
        ("order_given", "token revoke"), ("tokens_revoked", None),
        ("order_given", "token list"), ("order_given", "token list"),
    ]  # fmt: skip
    assert (lines[1]["id"], lines[1]["client"]) == (made["id"], "kids")
    assert lines[3]["ids"] == [made["id"]]
    assert str(made["token"]) not in str(lines)
