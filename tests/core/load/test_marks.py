"""What is remembered of a model at a target ends at its time, and takes a bounded room."""

from exo_supervisor.core.load.marks import (
    ABSENT,
    FOLLOW,
    PREFILL,
    QUIRK,
    STREAK,
    STREAM,
    Absences,
    BusyMarks,
    Declines,
    Pair,
    Quirks,
    Slot,
)
from exo_supervisor.core.names import ModelId, ProviderName

P, Q = ProviderName("p"), ProviderName("q")
X, Y = ModelId("x"), ModelId("y")
AT: Pair = (P, X)
CHAT = frozenset[str]()
HERE: Slot = (P, X, 0)


def noted(*waits: float | None, began: float = 0.0) -> BusyMarks:
    """Mark one model once for each wait, all of them said at the instant 10."""
    busy = BusyMarks()
    for wait in waits:
        busy.note(HERE, wait, began, 10.0)
    return busy


def test_the_longest_time_named_wins() -> None:
    assert noted(20.0, 2.0).free_at(HERE, 0.0) == 30.0
    assert noted(2.0, 20.0).free_at(HERE, 0.0) == 30.0
    assert noted(20.0).free_at((P, Y, 0), 0.0) is None, "another model there is another matter"


def test_a_burst_that_is_refused_at_once_counts_as_one() -> None:
    mark = noted(None, None, None).get(HERE)
    assert mark is not None
    assert (mark.streak, mark.until) == (1, 11.0)
    mark = noted(None, None, None, began=10.0).get(HERE)
    assert mark is not None
    assert (mark.streak, mark.until) == (3, 14.0)


def test_a_success_lifts_it_unless_it_began_before() -> None:
    busy = noted(20.0)
    busy.lift(HERE, 9.9)
    assert busy.get(HERE) is not None, "what was let in before says nothing of what is let in now"
    busy.lift(HERE, 10.0)
    assert busy.get(HERE) is None
    busy.lift(HERE, 10.0)


def test_one_goes_first_and_the_others_follow_each_at_a_moment_of_its_own() -> None:
    busy = noted(5.0)
    busy.start(HERE, 15.0)
    assert busy.free_at(HERE, 0.0) == 15.0 + 0.1 * FOLLOW
    assert busy.free_at(HERE, 0.5) == 15.0 + 0.55 * FOLLOW
    busy.start(HERE, 15.1)
    assert busy.free_at(HERE, 0.0) == 15.0 + 0.1 * FOLLOW, "only one is the first"
    busy.note(HERE, 3.0, 15.0, 16.0)
    assert busy.free_at(HERE, 0.5) == 19.0, "a new refusal is a new wait"
    busy.start((P, Y, 0), 0.0)
    assert busy.get((P, Y, 0)) is None


def test_who_tries_it_before_its_time_leads_nobody() -> None:
    busy = noted(3600.0)
    busy.start(HERE, 80.0)
    mark = busy.get(HERE)
    assert mark is not None
    assert (mark.led, mark.at, mark.until) == (None, 80.0, 3610.0)


def test_marks_are_dropped_with_their_target_and_when_their_time_is_long_up() -> None:
    busy = noted(5.0)
    busy.note((Q, X, 0), 5.0, 0.0, 10.0)
    busy.forget(P)
    assert (busy.get(HERE), len(busy.marks)) == (None, 1)
    busy.prune(15.0 + STREAK - 0.1)
    assert len(busy.marks) == 1
    busy.prune(15.0 + STREAK)
    assert len(busy.marks) == 0


def test_a_model_is_absent_for_a_while_or_until_it_is_listed() -> None:
    absent = Absences()
    absent.listed(P, (X,))
    absent.note(AT, CHAT, 10.0)
    assert absent.holds(AT, CHAT, 10.0 + ABSENT - 0.1)
    assert not absent.holds(AT, CHAT, 10.0 + ABSENT)
    assert not absent.holds((P, Y), CHAT, 10.0)
    absent.listed(Q, (X,))
    absent.listed(P, (Y,))
    assert absent.holds(AT, CHAT, 10.0)
    absent.listed(P, (Y, X))
    assert not absent.holds(AT, CHAT, 10.0)
    absent.note(AT, CHAT, 10.0)
    absent.prune(10.0)
    assert len(absent.until) == 1
    absent.prune(10.0 + ABSENT)
    assert len(absent.until) == 0


def test_a_model_that_one_path_has_not_is_not_absent_at_another() -> None:
    absent = Absences()
    absent.note(AT, frozenset({"embeddings"}), 10.0)
    assert absent.holds(AT, frozenset({"embeddings", "dimensions"}), 10.0)
    assert not absent.holds(AT, frozenset({"completions"}), 10.0)
    assert not absent.holds(AT, CHAT, 10.0)
    absent.listed(P, (X,))
    assert not absent.holds(AT, frozenset({"embeddings"}), 10.0)


def test_what_a_model_does_not_take_is_added_up() -> None:
    quirks = Quirks()
    quirks.note(AT, STREAM, 0.0)
    quirks.note(AT, PREFILL, 1.0)
    assert quirks.has(AT, STREAM)
    assert quirks.has(AT, PREFILL)
    assert not quirks.has((P, Y), STREAM)


def test_what_a_model_did_not_take_is_tried_again_after_a_while() -> None:
    quirks = Quirks()
    quirks.note(AT, STREAM, 0.0)
    quirks.note((P, Y), STREAM, 1.0)
    quirks.prune(QUIRK)
    assert not quirks.has(AT, STREAM)
    assert quirks.has((P, Y), STREAM)


def test_the_third_different_request_in_a_row_counts_and_each_new_one_after_it() -> None:
    declines = Declines()
    assert [declines.note(AT, body) for body in (1, 1, 2, 2, 3, 3, 4)] == [
        False, False, False, False, True, False, True,
    ]  # fmt: skip
    declines.forget(AT)
    declines.forget(AT)
    assert [declines.note(AT, body) for body in (5, 6)] == [False, False]
