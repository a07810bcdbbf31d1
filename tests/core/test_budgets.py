"""A cloud is not asked beyond a budget: Exo goes on, and where it cannot the client is told why."""

import pytest
from msgspec import structs

from exo_supervisor.core.books.account import Line
from exo_supervisor.core.books.book import Dated, Match, Priced, Prices
from exo_supervisor.core.books.budgets import Calendar, Payer, Spent
from exo_supervisor.core.books.price import Price
from exo_supervisor.core.effects import Effect, Refuse, StartAttempt
from exo_supervisor.core.events import (
    AttemptSettled,
    CalendarRead,
    PolicyChanged,
    ProviderListed,
    ProviderVetted,
    RequestEnded,
    SpendingRead,
    SpendingUnread,
    Ticked,
)
from exo_supervisor.core.names import ModelId, RequestId
from exo_supervisor.core.outcomes import Fault, Refusal
from exo_supervisor.core.policy import (
    BudgetRules,
    ClientRule,
    Cloud,
    Limits,
    ModelRule,
    Policy,
)
from exo_supervisor.core.requests.catalog import Route
from exo_supervisor.core.requests.forecast import forecast
from exo_supervisor.core.requests.spending import UNSAID
from tests.core.story import BOTH, M, P, Q, Story, X, refusal, told

PRICE = Price(input=1, output=10, request=5)
PRICES = Prices(
    {},
    {
        P: (Priced((Match("equals", "x"),), (Dated(PRICE),)),),
        Q: (Priced((Match("equals", "x"),), (Dated(Price(input=2, output=20)),)),),
    },
)
ONE_CLOUD = structs.replace(
    BOTH, clouds=BOTH.clouds[:1], models=(ModelRule("chat", cloud=((P, X),)),)
)
MOST = 100 + 10 * 10 + 5
"""What a request of 100 bytes and ten tokens can cost at p."""


def limited(policy: Policy = BOTH, **limits: int) -> Policy:
    return structs.replace(policy, budgets=BudgetRules(Limits(**limits)))


def house(policy: Policy, *nodes: str) -> Story:
    story = Story(structs.replace(policy, trust="link"), *nodes, prices=PRICES)
    day = Calendar("2026-01-31", "2026-01", story.now + 60.5, story.now + 600.0, "2026-01-31")
    story.tell(CalendarRead(calendar=day))
    return story


def ask(story: Story, name: str = "r", **more: object) -> list[Effect]:
    asked = {"body": 100, "max_tokens": 10} | more
    return story.ask(name, **asked)  # pyright: ignore[reportArgumentType] - a story's own words


def forecast_of(story: Story) -> Refusal | None:
    route = story.machine.catalog.lookup("chat")
    assert isinstance(route, Route)
    return forecast(route, story.machine.tables, story.now).refusal


def reserved(effects: list[Effect]) -> int:
    [start] = [each for each in effects if isinstance(each, StartAttempt)]
    return start.reserved


def test_exo_goes_on_where_a_cloud_comes_first_and_is_over_its_budget() -> None:
    story = house(limited(structs.replace(BOTH, order=("cloud", "exo")), day=MOST), "a:1")
    assert told(ask(story)) == ["start p x"]
    story.names()
    story.succeed("r", cost=MOST - 1)
    assert story.names() == ["budget_warned"]
    assert told(ask(story, "s")) == ["start a:1 m /budget_spent"]
    story.begin("s")
    assert story.names() == ["budget_spent", "traffic_shifted"]


def test_another_cloud_serves_where_the_first_is_over_its_own_budget() -> None:
    clouds = (structs.replace(BOTH.clouds[0], budget=Limits(day=MOST)), BOTH.clouds[1])
    story = house(
        structs.replace(BOTH, clouds=clouds, models=(ModelRule("chat", cloud=((P, X), (Q, X))),))
    )
    ask(story)
    assert told(ask(story, "s")) == ["start q x /budget_spent"]


def test_a_cloud_that_failed_leaves_the_reason_to_the_one_that_was_not_asked() -> None:
    clouds = (structs.replace(BOTH.clouds[0], budget=Limits(day=1)), BOTH.clouds[1])
    rows = (ModelRule("chat", cloud=((P, X), (Q, X))),)
    story = house(structs.replace(BOTH, clouds=clouds, models=rows))
    assert told(ask(story)) == ["start q x /budget_spent"]
    assert told(story.fail("r", Fault.CONNECT)) == ["refuse 402 budget_spent"]


def test_where_nothing_else_can_serve_the_client_is_told_until_when() -> None:
    story = house(limited(ONE_CLOUD, day=MOST + 9))
    assert reserved(ask(story)) == MOST
    story.succeed("r", cost=10)
    said = refusal(ask(story, "s"))
    assert (said.status, said.code, said.retry_after) == (402, "budget_spent", 61.0)
    assert said.message == (
        "the budget is spent: 0.00000000001 of 0.000000000214 USD a day, and this request could "
        "cost up to 0.000000000205 (a lower max_tokens makes that less)"
    )
    assert told(ask(story, "t", max_tokens=9)) == ["start p x"]


def test_a_field_that_has_another_model_answer_has_no_price() -> None:
    story = house(limited(ONE_CLOUD, day=MOST))
    said = refusal(ask(story, unpriced="models"))
    assert (said.status, said.code, said.retry_after) == (402, "budget_spent", None)
    assert "the price of what models asks for at p" in said.message
    assert told(ask(story, "s")) == ["start p x"]


def test_a_request_that_alone_is_too_large_is_told_so() -> None:
    rules = structs.replace(ONE_CLOUD, clients=(ClientRule("anna", budget=Limits(month=MOST - 1)),))
    said = refusal(ask(house(rules), client="anna", max_tokens=0))
    assert (said.status, said.retry_after) == (402, None)
    assert said.message.startswith("the budget of client anna is too small for this request: ")
    assert said.message.endswith("0.000000327785 (a max_tokens makes that less)")


def test_what_is_only_held_is_free_in_a_moment() -> None:
    story = house(limited(ONE_CLOUD, day=MOST))
    ask(story)
    said = refusal(ask(story, "s"))
    assert (said.status, said.code, said.retry_after) == (503, "overloaded", 1.0)
    story.succeed("r", cost=0)
    assert told(ask(story, "t")) == ["start p x"]


def test_what_came_back_meanwhile_is_there_for_another_try() -> None:
    rows = (ModelRule("chat", exo=(M,), cloud=((P, X),)),)
    policy = structs.replace(BOTH, order=("cloud", "exo"), models=rows)
    story = house(limited(policy, day=MOST), "a:1")
    ask(story)
    assert told(ask(story, "s")) == ["start a:1 m /budget_spent"]
    story.succeed("r", cost=0)
    assert told(story.fail("s", Fault.CONNECT)) == ["refuse 503 overloaded"]


UNREAD = "/var/lib/x/ledger.db: the file cannot be opened: let the service write to it"


def test_books_that_nobody_can_read_are_named_with_their_place_until_they_can() -> None:
    story = Story(limited(ONE_CLOUD, day=MOST), prices=PRICES)
    story.names()
    assert refusal(ask(story)).code == "overloaded", "it is not known yet why"
    story.tell(SpendingUnread(why=UNREAD))
    said = refusal(ask(story, "s"))
    assert (said.status, said.code, said.retry_after) == (503, "ledger_unreadable", 5.0)
    assert UNREAD in said.message
    assert forecast_of(story) == said
    assert story.names() == []
    day = Calendar("2026-01-31", "2026-01", 1e9, 1e9, "2026-01-31")
    story.tell(CalendarRead(calendar=day))
    assert told(ask(story, "t")) == ["start p x"]
    assert story.machine.tables.budgets.unread == ""


def test_why_a_budget_has_nothing_for_a_request_is_told() -> None:
    policy = limited(structs.replace(BOTH, order=("cloud", "exo"), trust="link"), day=MOST)

    def detail(story: Story, name: str, **more: object) -> set[str]:
        [start] = [each for each in ask(story, name, **more) if isinstance(each, StartAttempt)]
        return {each.detail for each in start.choice.passed if each.reason == "budget_spent"}

    unread = Story(policy, "a:1", prices=PRICES)
    assert detail(unread, "r") == {"what was spent is not known yet"}
    unread.tell(SpendingUnread(why=UNREAD))
    assert detail(unread, "s") == {f"what was spent is not known: {UNREAD}"}
    story = house(policy, "a:1")
    assert "this request is too large for it" in detail(story, "r", max_tokens=11)
    ask(story, "s")
    assert "what is left is held for requests under way" in detail(story, "t")
    story.succeed("s", cost=MOST - 1)
    assert "0.000000000204 of 0.000000000205 USD are spent" in detail(story, "u")
    only = structs.replace(policy, models=(ModelRule("chat", exo=(M,), cloud=((P, X),)),))
    both = house(limited(only, day=MOST, month=10 * MOST), "a:1")
    ask(both, "r")
    both.succeed("r", cost=10 * MOST)
    longest = "0.00000000205 of 0.00000000205 USD are spent"
    assert detail(both, "s") == {longest}, "the day's ends earlier"
    unpriced = Story(policy, "a:1")
    unpriced.tell(CalendarRead(calendar=story.machine.tables.budgets.calendar))
    assert detail(unpriced, "r") == {"nobody knows its price"}
    runaway = structs.replace(policy, budgets=BudgetRules(session_requests=1))
    story = house(runaway, "a:1")
    ask(story, "r", session=7)
    assert detail(story, "s", session=7) == {"1 of 1 requests of the session are spent"}


def test_what_kept_a_request_from_a_cloud_before_it_waited_for_a_model_is_asked_anew() -> None:
    rows = (ModelRule("chat", exo=(M,), cloud=((P, X),), keep=True),)
    policy = structs.replace(ONE_CLOUD, models=rows, trust="link")
    story = house(limited(policy, day=1))
    story.up("a:1")
    story.read("a:1")
    story.wait(60.0)
    assert ask(story) == []
    story.tell(PolicyChanged(policy=structs.replace(policy, clouds=())))
    said = refusal([each for each in story.wait(policy.load_wait) if isinstance(each, Refuse)])
    assert (said.code, "(cloud_down, model_not_ready)" in said.message) == ("no_target", True)


def test_a_forecast_refuses_nobody() -> None:
    """Whoever looks has not asked: nothing is told of it, and the first who asks is told of."""
    story = house(limited(ONE_CLOUD, day=400_000))
    ask(story)
    story.succeed("r", cost=100_000)
    story.names()
    found = forecast_of(story)
    assert found is not None
    assert found.code == "budget_spent"
    assert story.names() == []
    ask(story, "s", max_tokens=0)
    assert story.names() == ["budget_spent"]


def test_a_busy_exo_is_worth_another_try_before_any_money() -> None:
    story = house(limited(day=1), "a:1")
    ask(story)
    story.fail("r", Fault.BUSY, retry_after=30.0)
    assert [word for word in story.names() if word.startswith("budget")] == []
    said = refusal(ask(story, "s"))
    assert (said.status, said.code, said.retry_after) == (503, "no_target", 30.0)
    assert "(budget_spent, busy)" in said.message


def test_a_model_without_a_price_is_named() -> None:
    rows = (ModelRule("chat", cloud=((P, ModelId("y")),)),)
    policy = structs.replace(ONE_CLOUD, models=rows)
    story = house(limited(policy, day=MOST))
    story.tell(ProviderListed(provider=P, models=(ModelId("y"),)))
    said = refusal(ask(story))
    assert (said.status, said.code, said.retry_after) == (402, "budget_spent", None)
    assert "'y' at p" in said.message
    assert "[[price]]" in said.message
    story = house(structs.replace(policy, budgets=BudgetRules(Limits(day=1), denies_unknown=False)))
    story.tell(ProviderListed(provider=P, models=(ModelId("y"),)))
    assert reserved(ask(story)) == 0


def test_before_it_is_known_what_was_spent_nothing_is() -> None:
    story = Story(limited(structs.replace(BOTH, trust="link"), day=10**9), "a:1", prices=PRICES)
    assert told(ask(story, route="cloud")) == ["refuse 503 overloaded"]
    assert told(ask(story, "s")) == ["start a:1 m"]


def test_an_attempt_that_failed_keeps_nobody_from_the_reason() -> None:
    story = house(limited(day=1), "a:1")
    assert told(ask(story)) == ["start a:1 m"]
    said = refusal(story.fail("r", Fault.CONNECT))
    assert (said.status, said.code) == (402, "budget_spent")


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ((100, 10, 1), MOST),
        ((100, 10, 3), 100 + 300 + 5),
        ((100, 0, 1), 100 + 10 * UNSAID + 5),
        ((100, -9, -1), 100 + 10 * UNSAID + 5),
    ],
)
def test_the_most_that_a_request_can_cost(asked: tuple[int, int, int], most: int) -> None:
    body, max_tokens, choices = asked
    story = house(limited(ONE_CLOUD, day=10**9))
    assert reserved(story.ask("r", body=body, max_tokens=max_tokens, choices=choices)) == most


def test_an_embedding_has_no_answer_to_pay_for() -> None:
    story = house(limited(ONE_CLOUD, day=10**9))
    assert reserved(ask(story, demands=("embeddings",), max_tokens=0)) == 100 + 5


@pytest.mark.parametrize(
    ("body", "max_tokens", "most"),
    [(100, 0, 50 + 500 + 5), (100, 90, 50 + 500 + 5), (40, 10, 40 + 100 + 5)],
)
def test_no_prompt_and_no_answer_is_longer_than_a_model_takes(
    body: int, max_tokens: int, most: int
) -> None:
    story = house(limited(ONE_CLOUD, day=10**9))
    story.tell(ProviderListed(provider=P, models=(X,), contexts={X: 50}))
    assert reserved(story.ask("r", body=body, max_tokens=max_tokens)) == most


def test_what_a_client_left_behind_is_paid_for() -> None:
    story = house(limited(ONE_CLOUD, day=10**9))
    ask(story)
    story.tell(RequestEnded(request=RequestId("r"), cost=42))
    budgets = story.machine.tables.budgets
    assert [account.spent for _, _, account in budgets.each()] == [42]
    assert budgets.holds == {}


def test_failed_attempts_are_paid_for_and_late_words_change_nothing() -> None:
    story = house(limited(day=10**9))
    ask(story, route="cloud")
    late = AttemptSettled(request=RequestId("r"), attempt=1, draw=0.0, cost=7)
    assert told(story.fail("r", Fault.STALL, cost=30)) == ["start q x /route"]
    story.tell(late)
    story.succeed("r", cost=12)
    story.tell(late)
    [(_, _, account)] = story.machine.tables.budgets.each()
    assert (account.spent, account.held) == (42, 0)


def test_what_serves_in_the_house_costs_nothing() -> None:
    near = Cloud(P, "http://127.0.0.1:1/v1", local=True, budget=Limits(day=1))
    rules = structs.replace(BOTH, clouds=(near,), models=(ModelRule("chat", cloud=((P, X),)),))
    story = house(limited(rules, day=1))
    story.tell(ProviderVetted(provider=P, housed=None))
    assert reserved(ask(story)) == 0
    story = house(limited(day=1), "a:1")
    assert told(ask(story)) == ["start a:1 m"]


def test_a_runaway_loop_is_stopped_at_the_clouds_alone() -> None:
    rules = structs.replace(BOTH, budgets=BudgetRules(session_requests=2))
    story = house(rules, "a:1")
    for name in ("r", "s"):
        ask(story, name, route="cloud", session=7)
        story.fail(name, Fault.CONNECT)  # its second attempt is of the same request
        story.succeed(name)
    said = refusal(ask(story, "t", route="cloud", session=7))
    assert (said.status, said.code, said.retry_after) == (402, "budget_spent", None)
    assert said.message == "this session has sent as many requests to clouds as it may (2)"
    assert told(ask(story, "u", session=7)) == ["start a:1 m"]
    assert told(ask(story, "v", route="cloud", session=8)) == ["start p x /route"]


def test_a_sessions_budget_has_no_end() -> None:
    story = house(limited(ONE_CLOUD, session=MOST))
    ask(story, session=7)
    story.succeed("r", cost=MOST)
    said = refusal(ask(story, "s", session=7))
    assert said.retry_after is None
    assert said.message.startswith("the budget of this session is spent: ")
    assert told(ask(story, "t", session=8)) == ["start p x"]
    story.tick(story.now + 8 * 86_400.0)
    assert told(ask(story, "u", session=7)) == ["start p x"], "it was forgotten"


def test_the_cloud_that_could_serve_first_is_told_of() -> None:
    clouds = (
        structs.replace(BOTH.clouds[0], budget=Limits(month=MOST)),
        structs.replace(BOTH.clouds[1], budget=Limits(day=2 * MOST)),
    )
    story = house(
        structs.replace(BOTH, clouds=clouds, models=(ModelRule("chat", cloud=((P, X), (Q, X))),))
    )
    for name in ("r", "s"):
        ask(story, name)
        story.succeed(name, cost=MOST)
    said = refusal(ask(story, "t"))
    assert said.retry_after == 61.0
    assert said.message.startswith("the budget of provider q is spent: ")


def test_earlier_runs_count_and_a_new_day_begins_anew() -> None:
    story = house(limited(ONE_CLOUD, day=MOST))
    story.tell(SpendingRead(span="day", paid=(Spent(Payer("anna", 0, P), 1),)))
    assert told(ask(story)) == ["refuse 402 budget_spent"]
    story.tell(CalendarRead(calendar=Calendar("2026-02-01", "2026-02", 1e9, 1e9, "2026-02-01")))
    assert told(ask(story, "s")) == ["start p x"]


def test_another_policy_brings_other_limits() -> None:
    story = house(limited(ONE_CLOUD, day=1))
    peers = story.machine.tables.policy.peers
    assert told(ask(story)) == ["refuse 402 budget_spent"]
    story.tell(PolicyChanged(policy=structs.replace(ONE_CLOUD, peers=peers)))
    assert reserved(ask(story, "s")) == 0
    story.tell(PolicyChanged(policy=structs.replace(limited(ONE_CLOUD, day=9), peers=peers)))
    story.succeed("s", cost=3)
    assert story.machine.tables.budgets.accounts == {}, "it began when there was no budget"


def test_a_wait_tells_what_was_refused_before_it() -> None:
    policy = limited(structs.replace(BOTH, order=("cloud", "exo"), patience=9.0), day=MOST)
    story = house(policy, "a:1")
    story.tell(SpendingRead(span="day", paid=(Spent(Payer("anna", 0, P), MOST - 1),)))
    story.names()
    ask(story, "r", route="exo")
    story.fail("r", Fault.BUSY, retry_after=3.0)
    story.names()
    assert told(ask(story, "s")) == []
    assert story.names() == ["budget_spent"]
    story.tell(Ticked())
    assert Line("house", "", "day", "2026-01-31") in story.machine.tables.budgets.accounts
