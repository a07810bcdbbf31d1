"""A moving average believes bad news at once and good news with time."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.load.latency import FADE, MAX_MODELS, Latencies, Sample
from exo_supervisor.core.names import Address, ModelId

A, M = Address("a:1"), ModelId("m")


def measure(sample: Sample, ttft: float, now: float) -> Sample:
    sample.take(ttft, now)
    return sample


def load(
    latency: Latencies, target: Address, model: ModelId, at_work: int, now: float
) -> tuple[float, int]:
    [score], _ = latency.loads([(target, model)], {target: at_work}, now)
    return score


def test_the_first_measurement_counts_whole() -> None:
    latency = Latencies()
    latency.observe(A, M, 2.0, 5.0)
    assert load(latency, A, M, 0, 5.0) == (2.0, 0)


def test_a_slower_one_counts_at_once() -> None:
    assert measure(Sample(2.0, 5.0), 9.0, 5.0) == Sample(9.0, 5.0)


def test_a_faster_one_counts_by_the_age_of_the_old() -> None:
    assert measure(Sample(2.0, 5.0), 1.0, 5.0) == Sample(2.0, 5.0)
    aged = measure(Sample(2.0, 5.0), 1.0, 15.0)
    assert aged.ttft == pytest.approx(1.0 + exp(-1.0))
    assert aged.at == 15.0


@given(old=st.floats(0, 900), new=st.floats(0, 900), wait=st.floats(-5, 1e6))
def test_the_average_stays_between_old_and_new(old: float, new: float, wait: float) -> None:
    ttft = measure(Sample(old, 100.0), new, 100.0 + wait).ttft
    assert min(old, new) <= ttft or ttft == pytest.approx(min(old, new))
    assert ttft <= max(old, new) or ttft == pytest.approx(max(old, new))


def test_load_grows_with_attempts_at_work() -> None:
    latency = Latencies()
    assert load(latency, A, M, 0, 0.0) == (0.0, 0)
    assert load(latency, A, M, 1, 0.0) == (0.0, 1), "never measured scores as instant"
    latency.observe(A, M, 0.5, 0.0)
    assert load(latency, A, M, 2, 0.0) == (1.5, 2)
    assert load(latency, A, M, 1, 0.0) == (1.0, 1)
    assert load(latency, A, ModelId("other"), 1, 0.0) == (0.0, 1)


def test_who_was_slow_once_is_asked_again_in_time() -> None:
    latency = Latencies()
    latency.observe(A, M, 60.0, 100.0)
    for early in (50.0, 99.5, 100.0):
        assert load(latency, A, M, 0, early) == (60.0, 0)
    assert load(latency, A, M, 0, 100.0 + FADE) == (pytest.approx(60.0 * exp(-1.0)), 0)
    assert load(latency, A, M, 1, 100.0 + FADE) == (pytest.approx(120.0 * exp(-1.0)), 1)


def test_what_is_known_of_a_target_leaves_with_it() -> None:
    latency = Latencies()
    assert not latency.has_sample(A, M)
    latency.observe(A, M, 0.5, 0.0)
    assert latency.has_sample(A, M)
    assert not latency.has_sample(A, ModelId("other"))
    latency.forget(A)
    latency.forget(A)
    assert not latency.has_sample(A, M)


def test_a_targets_models_have_a_bound_and_the_oldest_goes() -> None:
    latency = Latencies()
    for n in range(MAX_MODELS + 1):
        latency.observe(A, ModelId(f"m{n}"), 0.5, 0.0)
    assert not latency.has_sample(A, ModelId("m0"))
    assert latency.has_sample(A, ModelId("m1"))
