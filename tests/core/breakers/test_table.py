"""The table of breakers keeps the sick only, obeys the operator, and follows its clusters."""

import pytest

from exo_supervisor.core.breakers.automaton import Closed, HalfOpen, Mark, Open, Reason, Rules
from exo_supervisor.core.breakers.table import (
    UNCOUNTED,
    Breakers,
    Change,
    Failed,
    Forced,
    Key,
)
from exo_supervisor.core.names import Address, ClusterKey, ModelId, ProviderName

NODE: Key = (Address("a:1"), None)
MODEL: Key = (ClusterKey("a:1"), ModelId("m"))
RULES = Rules(trip_after=2, rest=10.0)
MOST = 64


class Recorded(Breakers):
    """A table that keeps what its verbs returned of changes."""

    def __init__(self) -> None:
        super().__init__(RULES, MOST)
        self.changes: list[Change] = []

    def permit(self, key: Key, now: float, *, early: bool = False) -> int:
        """Take a permit."""
        permit, change = self.take(key, now, early=early)
        self.keep(change)
        return permit

    def end(self, key: Key, permit: int, mark: Mark, now: float, last: str = "") -> None:
        """Settle a permit."""
        failed = Failed(last, 0, "r", now) if last else None
        self.keep(self.settle(key, permit, mark, now, 0.0, failed=failed))

    def decree(self, key: Key, forced: Forced | None, now: float) -> None:
        """Do as an operator says."""
        self.keep(self.force(key, forced, now))

    def keep(self, change: Change | None) -> None:
        """Keep a change."""
        self.changes += [] if change is None else [change]

    def moves(self) -> list[tuple[str, str]]:
        """List the changes of state."""
        return [(change.was, change.now) for change in self.changes]


def ill(table: Recorded, key: Key, times: int = 2, now: float = 0.0) -> None:
    for _ in range(times):
        table.end(key, table.permit(key, now), Mark.FAILURE, now, last="reset")


def test_the_healthy_have_no_row() -> None:
    table = Recorded()
    assert table.permit(NODE, 0.0) == 0
    table.end(NODE, 0, Mark.SUCCESS, 1.0)
    table.end(NODE, 0, Mark.ABANDONED, 1.0)
    assert (len(table.rows), table.get(NODE), table.changes) == (0, None, [])
    assert table.is_closed(NODE)
    assert table.may_admit(NODE, 0.0)
    assert table.may_probe(NODE)
    assert table.rest_ends(NODE) is None


def test_a_row_goes_when_its_breaker_is_well_again() -> None:
    table = Recorded()
    ill(table, NODE, times=1)
    assert len(table.rows) == 1
    table.end(NODE, 0, Mark.SUCCESS, 1.0)
    assert len(table.rows) == 0


def test_a_whole_circle_is_told_with_its_rules() -> None:
    table = Recorded()
    ill(table, NODE)
    cell = table.get(NODE)
    assert cell is not None
    assert (cell.state(), cell.reason, cell.last, cell.rest_ends()) == (
        "open", Reason.TRIP_AFTER, "reset", 10.0,
    )  # fmt: skip
    assert not table.is_closed(NODE)
    assert not table.may_admit(NODE, 9.0)
    permit = table.permit(NODE, 10.0)
    assert (cell.state(), cell.reason, cell.rest_ends()) == ("half_open", Reason.PROBE_SENT, None)
    assert not table.may_probe(NODE)
    table.end(NODE, permit, Mark.FAILURE, 11.0, last="connect")
    assert (cell.state(), cell.reason, cell.last) == ("open", Reason.PROBE_FAILED, "connect")
    permit = table.permit(NODE, 12.0, early=True)
    table.end(NODE, permit, Mark.SUCCESS, 13.0)
    assert (cell.state(), cell.reason, cell.since) == ("closed", Reason.NONE, 13.0)
    assert table.moves() == [
        ("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("open", "half_open"),
        ("half_open", "closed"),
    ]  # fmt: skip


def test_a_late_failure_does_not_rename_the_last_one() -> None:
    table = Recorded()
    ill(table, NODE)
    table.end(NODE, 0, Mark.FAILURE, 1.0, last="late")
    cell = table.get(NODE)
    assert cell is not None
    assert cell.last == "reset"


def test_a_permit_that_was_not_promised_is_a_mistake_of_ours() -> None:
    table = Recorded()
    ill(table, NODE)
    with pytest.raises(AssertionError, match="may_admit"):
        table.permit(NODE, 1.0)


def test_a_cheap_check_ends_the_rest() -> None:
    table = Recorded()
    ill(table, NODE)
    table.hasten(NODE, 3.0)
    table.hasten(MODEL, 3.0)
    assert table.may_admit(NODE, 3.0)
    assert table.get(MODEL) is None


def test_what_an_operator_opened_admits_nobody_and_has_no_rest_that_ends() -> None:
    table = Recorded()
    table.decree(NODE, "open", 5.0)
    cell = table.get(NODE)
    assert cell is not None
    assert (cell.state(), cell.reason, cell.since) == ("open", Reason.OPERATOR, 5.0)
    assert not table.may_admit(NODE, 99.0)
    assert not table.may_probe(NODE)
    assert table.rest_ends(NODE) is None
    table.decree(NODE, "open", 6.0)
    assert cell.since == 5.0, "a decree that changes nothing is no change"
    table.decree(NODE, None, 7.0)
    assert table.moves() == [("closed", "open"), ("open", "closed")]


def test_what_an_operator_closed_admits_everybody() -> None:
    table = Recorded()
    ill(table, NODE)
    table.decree(NODE, "closed", 5.0)
    assert table.is_closed(NODE)
    assert table.may_admit(NODE, 5.0)
    assert table.may_probe(NODE)
    assert table.rest_ends(NODE) is None
    table.decree(NODE, None, 7.0)
    assert table.moves() == [("closed", "open"), ("open", "closed"), ("closed", "open")]


def test_a_decree_on_the_healthy_leaves_no_row_behind() -> None:
    table = Recorded()
    table.decree(NODE, "closed", 0.0)
    table.decree(NODE, None, 1.0)
    table.decree(MODEL, None, 1.0)
    assert len(table.rows) == 0


def test_an_attempt_by_decree_never_speaks_for_a_later_probe() -> None:
    table = Recorded()
    ill(table, NODE)
    table.decree(NODE, "closed", 1.0)
    decreed = table.permit(NODE, 1.0)
    assert decreed == UNCOUNTED
    table.decree(NODE, None, 2.0)
    permit = table.permit(NODE, 10.0)
    table.end(NODE, decreed, Mark.ABANDONED, 11.0)
    table.end(NODE, decreed, Mark.SUCCESS, 11.0)
    cell = table.get(NODE)
    assert cell is not None
    assert isinstance(cell.breaker, HalfOpen), "the probe is still out"
    table.end(NODE, permit, Mark.SUCCESS, 12.0)
    assert cell.state() == "closed"


def test_what_fails_while_decreed_closed_counts_when_the_decree_ends() -> None:
    table = Recorded()
    table.decree(NODE, "closed", 0.0)
    ill(table, NODE)
    assert table.changes == []
    table.decree(NODE, None, 1.0)
    assert table.moves() == [("closed", "open")]


def test_a_split_copies_a_models_health_but_never_its_probe() -> None:
    table = Recorded()
    ill(table, NODE)
    ill(table, MODEL)
    table.permit(MODEL, 10.0)
    table.copy(ClusterKey("a:1"), ClusterKey("b:1"))
    twin = table.get((ClusterKey("b:1"), ModelId("m")))
    assert twin is not None
    assert twin.breaker == Open(1, 10.0)
    assert twin.last == "reset"
    assert table.get((Address("b:1"), None)) is None, "a node's own health is not its cluster's"


@pytest.mark.parametrize("sick_comes", [True, False])
def test_a_merge_keeps_the_worse_and_says_why(sick_comes: bool) -> None:  # noqa: FBT001 - a column
    table = Recorded()
    here, there = ClusterKey("here"), ClusterKey("there")
    ill(table, (there if sick_comes else here, ModelId("m")), now=5.0)
    ill(table, (here if sick_comes else there, ModelId("m")), times=1)
    table.copy(there, here)
    table.forget(there, models=True)
    cell = table.get((here, ModelId("m")))
    assert cell is not None
    assert isinstance(cell.breaker, Open)
    assert (cell.reason, cell.since, cell.last) == (Reason.TRIP_AFTER, 5.0, "reset")
    assert len(table.rows) == 1


def test_a_merge_keeps_a_decree() -> None:
    table = Recorded()
    here, there = (ClusterKey("here"), ModelId("m")), (ClusterKey("there"), ModelId("m"))
    ill(table, here)
    table.decree(there, "closed", 0.0)
    table.copy(ClusterKey("there"), ClusterKey("here"))
    assert table.is_closed(here)


def test_a_straggler_of_a_merged_cluster_never_speaks_for_a_later_probe() -> None:
    """Both rows were at epoch 1, so the survivor begins another one."""
    table = Recorded()
    here, there = (ClusterKey("here"), ModelId("m")), (ClusterKey("there"), ModelId("m"))
    ill(table, here)
    ill(table, there, now=3.0)
    straggler = table.permit(here, 10.0)
    table.copy(ClusterKey("there"), ClusterKey("here"))
    permit = table.permit(here, 13.0)
    table.end(here, straggler, Mark.ABANDONED, 14.0)
    assert not table.may_probe(here)
    table.end(here, permit, Mark.SUCCESS, 14.0)
    assert table.is_closed(here)


def test_forgetting_tells_targets_from_scopes() -> None:
    table = Recorded()
    ill(table, NODE)
    ill(table, MODEL)
    table.forget(ClusterKey("a:1"), models=True)
    assert [key for key, _ in table] == [NODE]


def test_the_rows_of_the_gone_are_dropped() -> None:
    table = Recorded()
    cloud: Key = (ProviderName("p"), ModelId("x"))
    for key in (NODE, MODEL, cloud, (Address("gone:1"), None), (ClusterKey("gone:1"), "m")):
        ill(table, (key[0], None if key[1] is None else ModelId(key[1])), times=1)
    table.prune({"a:1", "p"}, {"a:1", "p"})
    assert [key for key, _ in table] == [NODE, MODEL, cloud]
    table.prune({"p"}, {"p"})
    assert [(key, cell.breaker) for key, cell in table] == [(cloud, Closed(0, 1))]


def test_the_table_has_a_bound_and_an_operators_rows_stay() -> None:
    table = Recorded()
    table.decree(NODE, "open", 0.0)
    for n in range(MOST):
        table.end((ClusterKey("a:1"), ModelId(f"m{n}")), 0, Mark.FAILURE, 0.0)
    assert len(table.rows) == MOST
    assert table.get(NODE) is not None
    assert table.get((ClusterKey("a:1"), ModelId("m0"))) is None


def test_holds_are_bounded_too() -> None:
    """An operator's hold may name any model, so that a script could make any number of them."""
    table = Recorded()
    for n in range(MOST + 1):
        table.decree((ClusterKey("a:1"), ModelId(f"m{n}")), "open", 0.0)
    assert len(table.rows) == MOST
    assert table.get((ClusterKey("a:1"), ModelId("m0"))) is None


def test_a_split_makes_no_more_rows_than_there_may_be() -> None:
    table = Recorded()
    for n in range(MOST):
        table.decree((ClusterKey("a:1"), ModelId(f"m{n}")), "open", 0.0)
    table.copy(ClusterKey("a:1"), ClusterKey("b:1"))
    assert len(table.rows) == MOST


def test_a_targets_row_stays_with_its_target_and_a_models_with_its_scope() -> None:
    table = Recorded()
    ill(table, (Address("b:1"), None))
    ill(table, MODEL)
    table.prune({"b:1"}, {"a:1"})
    assert {key for key, _ in table} == {(Address("b:1"), None), MODEL}
    table.prune({"a:1"}, {"b:1"})
    assert not len(table.rows)
