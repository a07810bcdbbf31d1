"""Counters and histograms: what is added comes out, and neither grows without end."""

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.host.metrics.counts import MOST_SERIES, OTHER, Counter, Histogram


def test_sums_stand_by_their_labels() -> None:
    counter = Counter("requests", "", ("side",))
    counter.add(("exo",))
    counter.add(("exo",), 2)
    counter.add(("cloud",))
    assert counter.sums == {("exo",): 3, ("cloud",): 1}


@given(st.lists(st.lists(st.floats(0, 100) | st.sampled_from((0.5, 1.0, 50.0)))))
def test_a_bucket_holds_what_is_at_most_its_bound(batches: list[list[float]]) -> None:
    bounds = (0.5, 1.0, 50.0)
    histogram = Histogram("ttft", "", ("side",), bounds)
    for batch in batches:
        histogram.observe(("exo",), batch)
    values = [value for batch in batches for value in batch]
    for cells in histogram.cells.values():
        assert dict(histogram.buckets(cells)) == {
            **{repr(bound): sum(value <= bound for value in values) for bound in bounds},
            "+Inf": len(values),
        }
        assert abs(cells.total - sum(values)) < 1e-6


def test_a_family_has_a_bound_and_what_is_over_it_is_counted_together() -> None:
    counter, histogram = Counter("c", "", ("a", "b")), Histogram("h", "", ("a", "b"), (1.0,))
    for number in range(MOST_SERIES + 10):
        counter.add((str(number), "x"))
        histogram.observe((str(number), "x"), [0.0])
    assert counter.sums[OTHER, OTHER] == 10
    assert histogram.cells[OTHER, OTHER].counts == [10, 0]
    assert len(counter.sums) == len(histogram.cells) == MOST_SERIES + 1
    counter.add(("0", "x"))
    assert counter.sums["0", "x"] == 2
