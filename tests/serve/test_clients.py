"""Whose rule holds: the first row that names a user, or a group of its, and a token's own."""

from msgspec import Struct

from exo_supervisor.core.policy import DEFAULT_CLIENT, ClientRule
from exo_supervisor.serve import clients
from exo_supervisor.serve.clients import Clients, Who

KIDS, OFFICE = ClientRule("kids"), ClientRule("office")
OURS = ClientRule(DEFAULT_CLIENT.name, models=("m",))


class Peer(Struct, frozen=True):
    """Somebody at a Unix socket."""

    uid: int | None = None
    groups: frozenset[int] = frozenset()


def test_the_first_row_that_names_a_user_or_its_group_holds_each_time_it_comes() -> None:
    known = Clients([Who(KIDS, frozenset({7})), Who(OFFICE, frozenset({8}), frozenset({70}))])
    for _ in range(2):
        assert known.of_peer(Peer(7)) is KIDS
        assert known.of_peer(Peer(7, frozenset({70}))) is KIDS
        assert known.of_peer(Peer(9, frozenset({70, 71}))) is OFFICE
        assert known.of_peer(Peer(9)) is DEFAULT_CLIENT
        assert known.of_peer(Peer()) is DEFAULT_CLIENT


def test_who_has_no_row_is_under_the_default_ones() -> None:
    assert Clients().of_peer(Peer(7)) is DEFAULT_CLIENT
    known = Clients([Who(KIDS, frozenset({7})), Who(OURS)])
    assert known.of_peer(Peer(9)) is OURS
    assert known.names() == ["kids", DEFAULT_CLIENT.name]
    assert Clients([Who(KIDS)]).names() == ["kids", DEFAULT_CLIENT.name]


def test_groups_are_looked_at_only_where_a_row_names_one() -> None:
    alike = Clients([Who(KIDS, frozenset({7}))])
    for group in range(3):
        alike.of_peer(Peer(7, frozenset({group})))
    told = Clients([Who(KIDS, gids=frozenset({1}))])
    found = [told.of_peer(Peer(7, frozenset({group}))) for group in range(3)]
    assert found == [DEFAULT_CLIENT, KIDS, DEFAULT_CLIENT]


def test_what_is_remembered_of_users_has_a_bound() -> None:
    known = Clients([Who(KIDS, frozenset({7}))])
    seen = {known.of_peer(Peer(uid)).name for uid in range(1000, 1000 + clients.MOST_FOUND + 9)}
    assert seen == {DEFAULT_CLIENT.name}
    assert len(known) <= clients.MOST_FOUND
    assert known.of_peer(Peer(7)) is KIDS


def test_a_token_is_its_clients_and_an_unknown_one_is_nobodys() -> None:
    names = {"a": "kids", "b": DEFAULT_CLIENT.name, "c": "gone"}
    known = Clients([Who(KIDS), Who(OURS)], names.get)
    assert [known.of_token(text) for text in "abcd"] == [KIDS, OURS, None, None]
    assert Clients([Who(KIDS)], names.get).of_token("b") is DEFAULT_CLIENT
    assert Clients([Who(KIDS)]).of_token("a") is None
