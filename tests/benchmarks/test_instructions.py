"""When the ratchet fails, and what it says."""

from tests.benchmarks.instructions import grown

KEPT = {"plain": 100.0, "a token": 10.0}


def test_what_stays_or_shrinks_passes() -> None:
    assert grown(KEPT, {"plain": 102.9, "a token": 2.0}) == []


def test_what_grew_is_named_with_both_figures() -> None:
    assert grown(KEPT, {"plain": 104.0, "a token": 10.0}) == ["plain: 104.0, +4.0% over 100.0"]


def test_a_figure_that_was_never_kept_fails() -> None:
    assert grown(KEPT, {"stream": 7.0}) == ["stream: 7.0, and nothing to compare it with"]
