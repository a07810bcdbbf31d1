"""A name is a configured one, then PROVIDER/ID, then an id as targets know it."""

import pytest
from msgspec import Raw

from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import Address, ModelId, ProviderName, Side
from exo_supervisor.core.near_names import LONGEST
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from exo_supervisor.core.requests.catalog import Catalog, Lookup, Route

P, Q = ProviderName("p"), ProviderName("q")
X, Y, K = ModelId("x"), ModelId("y"), ModelId("k")


def catalog(*order: Side, local_only: bool = False) -> Catalog:
    clouds = (
        Cloud(Q, "https://q.example", 2, models=(X, Y)),
        Cloud(P, "https://p.example", 1),
    )
    rules = (
        ModelRule("chat", exo=(K, ModelId("k2")), cloud=((Q, Y), (P, X), (P, Y))),
        ModelRule("p/x", exo=(K,)),
        ModelRule("nowhere", cloud=((ProviderName("unknown"), X),)),
        ModelRule("secret", exo=(K,), local_only=True),
    )
    policy = Policy(order=order or ("exo", "cloud"), clouds=clouds, models=rules)
    if local_only:
        policy = Policy(order=policy.order, clouds=clouds, models=rules, local_only=True)
    registry = Registry()
    registry.known.remember(Address("n:1"), (K, X))
    registry.cards = {ModelId("card"): (), K: ()}
    found = Clouds(clouds)
    found.listed(P, (X, ModelId("p/odd")))
    return Catalog(policy, registry, found)


def tiers(found: Lookup) -> list[str]:
    assert isinstance(found, Route), found
    return [f"{tier.provider or tier.side}:{','.join(tier.models)}" for tier in found.tiers]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("chat", ["exo:k,k2", "p:x,y", "q:y"], id="configured, clouds by priority"),
        pytest.param("p/x", ["exo:k"], id="a configured name goes first"),
        pytest.param("p/y", ["p:y"], id="a provider may have more than it lists"),
        pytest.param("p/a/b", ["p:a/b"], id="an id may hold slashes"),
        pytest.param("q/x", ["q:x"], id="allowed there"),
        pytest.param("k", ["exo:k"], id="an id at Exo"),
        pytest.param("x", ["exo:x", "p:x", "q:x"], id="an id at everybody"),
        pytest.param("y", ["q:y"], id="an id at one cloud"),
        pytest.param("nowhere", [], id="a configured name whose provider is not"),
    ],
)
def test_resolves(name: str, expected: list[str]) -> None:
    assert tiers(catalog().lookup(name)) == expected


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        pytest.param("q/k", "unknown", id="an allow-list is a limit"),
        pytest.param("q/", "unknown", id="a provider without an id"),
        pytest.param("r/x", "unknown", id="no such provider"),
        pytest.param("card", "card", id="a mere card"),
        pytest.param("", "unknown", id="nothing"),
    ],
)
def test_does_not_resolve(name: str, answer: str) -> None:
    assert catalog().lookup(name) == answer


@pytest.mark.parametrize(
    ("order", "expected", "first"),
    [
        (("cloud", "exo"), ["p:x", "q:x", "exo:x"], "cloud"),
        (("exo",), ["exo:x"], "exo"),
        (("cloud",), ["p:x", "q:x"], "cloud"),
    ],
)
def test_the_order_is_the_configurations(
    order: tuple[Side, ...], expected: list[str], first: Side
) -> None:
    found = catalog(*order).lookup("x")
    assert tiers(found) == expected
    assert isinstance(found, Route)
    assert found.first == first


def test_privacy_by_model_and_by_policy() -> None:
    for names, private in ((catalog(), False), (catalog(local_only=True), True)):
        chat, secret = names.lookup("chat"), names.lookup("secret")
        assert isinstance(chat, Route)
        assert isinstance(secret, Route)
        assert (chat.local_only, secret.local_only) == (private, True)


def test_names_are_listed_once_and_cards_not_at_all() -> None:
    listed = list(catalog().names())
    assert listed == ["chat", "p/x", "nowhere", "secret", "k", "x", "p/odd", "y"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        pytest.param("CHAT", ["chat"], id="case"),
        pytest.param("chatt", ["chat"], id="a slip"),
        pytest.param("zzzzzz", [], id="nothing near"),
        pytest.param("now", ["nowhere"], id="cut"),
        pytest.param("c" * (LONGEST + 1), [], id="too long to compare"),
    ],
)
def test_near_matches(name: str, near: list[str]) -> None:
    assert catalog().similar(name) == near


def test_what_must_stay_stays_under_its_other_names_too() -> None:
    m, x, p = ModelId("m"), ModelId("x"), ProviderName("p")
    private = ModelRule("private", exo=(m,), cloud=((p, x),), local_only=True)
    policy = Policy(clouds=(Cloud(p, "https://p.example"),), models=(private,))
    registry, clouds = Registry(), Clouds(policy.clouds)
    registry.known.remember(Address("n:1"), (m,))
    clouds.listed(p, (x,))
    catalog = Catalog(policy, registry, clouds)
    names = ("private", "m", "x", "p/x", "p/m", "p/other")
    routes = {name: catalog.lookup(name) for name in names}
    stays = {n: route.local_only for n, route in routes.items() if isinstance(route, Route)}
    assert stays == dict.fromkeys(names, True) | {"p/other": False}
    assert [name for name in (*names, "nobodys") if not catalog.may_be_local_only(name)] == [
        "p/other"
    ]


def test_a_name_in_another_case_is_the_one_that_was_meant_and_no_card_is() -> None:
    registry, clouds = Registry(), Clouds(())
    registry.cards |= dict.fromkeys(map(ModelId, ("org/chat-1", "org/other", "org/placed-1")))
    registry.known.remember(Address("n:1"), (ModelId("org/placed-1"),))
    found = Catalog(Policy(models=(ModelRule("chat"),)), registry, clouds)
    assert found.nearest("Chat") == (["chat"], [])
    assert found.nearest("chat-1") == (["chat"], ["org/chat-1"])
    assert found.nearest("placed")[0] == ["org/placed-1"], "placed once, it can be asked for"
    assert "org/placed-1" not in found.nearest("placed")[1]


def named() -> Catalog:
    """Know a row by an alias and by patterns, beside what targets tell."""
    clouds = (Cloud(P, "https://p.example"), Cloud(Q, "https://q.example", 2, models=(Y,)))
    rules = (
        ModelRule("chat", exo=(K,), aliases=("p/a", "small")),
        ModelRule("p/*", cloud=((P, X),)),
        ModelRule("q/*", cloud=((P, X),)),
        ModelRule("*", cloud=((Q, Y),), aliases=("lat*",)),
        ModelRule("latin", exo=(X,), local_only=True),
    )
    registry = Registry()
    registry.known.remember(Address("n:1"), (K,))
    registry.cards = {ModelId("card"): ()}
    found = Clouds(clouds)
    found.listed(P, (ModelId("late"),))
    return Catalog(Policy(clouds=clouds, models=rules), registry, found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("small", ["exo:k"], id="an alias"),
        pytest.param("p/a", ["exo:k"], id="an alias goes before PROVIDER/ID"),
        pytest.param("p/b", ["p:b"], id="PROVIDER/ID goes before a pattern"),
        pytest.param("k", ["exo:k"], id="an id at Exo goes before a pattern"),
        pytest.param("late", ["p:late"], id="an id at a cloud goes before a longer pattern"),
        pytest.param("later", ["q:y"], id="a pattern among the aliases"),
        pytest.param("q/z", ["p:x"], id="what a provider may not be asked for"),
        pytest.param("card", ["q:y"], id="a mere card is served by nobody"),
        pytest.param("zzz", ["q:y"], id="the pattern for all"),
    ],
)
def test_names_are_resolved_in_one_order(name: str, expected: list[str]) -> None:
    assert tiers(named().lookup(name)) == expected


def test_a_pattern_leads_nothing_out_that_has_to_stay() -> None:
    found = named().lookup("x")  # what a row keeps in the house, and no node is known to have now
    assert isinstance(found, Route)
    assert (found.local_only, found.plain) == (True, False)


def test_an_alias_is_listed_and_named_where_it_is_near_and_a_pattern_is_not() -> None:
    found = named()
    assert "small" in set(found.names())
    assert not any("*" in name for name in found.names())
    assert found.similar("Small") == ["small"]
    assert found.row_of(ModelId("small")) == "chat"


@pytest.mark.parametrize(
    ("name", "filled"),
    [
        pytest.param("chat", True, id="its name"),
        pytest.param("small", True, id="an alias"),
        pytest.param("p/b", False, id="PROVIDER/ID"),
        pytest.param("k", False, id="an id"),
        pytest.param("star-1", True, id="a pattern"),
        pytest.param("plain", False, id="a row that fills nothing in"),
        pytest.param("zzz", False, id="nobody's name"),
    ],
)
def test_a_row_fills_in_by_each_of_its_names_and_by_no_other(name: str, *, filled: bool) -> None:
    defaults = {"max_tokens": Raw(b"5")}
    clouds = (Cloud(P, "https://p.example"),)
    rules = (
        ModelRule("chat", exo=(K,), aliases=("small", "star-*"), defaults=defaults),
        ModelRule("plain", exo=(X,)),
    )
    registry = Registry()
    registry.known.remember(Address("n:1"), (K,))
    found = Catalog(Policy(clouds=clouds, models=rules), registry, Clouds(clouds))
    assert found.defaults_of(name) == (defaults if filled else {})
    found.follow(Policy(models=rules[1:]))
    assert not found.defaults


def test_the_traffic_of_a_name_is_counted_under_that_of_its_row() -> None:
    rules = (ModelRule("chat", exo=(K,), aliases=("gpt", "fast-*")),)
    found = Catalog(Policy(models=rules), Registry(), Clouds(()))
    named = [found.name_of(name) for name in ("chat", "gpt", "fast-one", "unknown")]
    assert named == ["chat", "chat", "chat", "unknown"]
