"""The least loaded target is chosen, ties fall to chance, and a large house costs no more."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.balance.choose import SAMPLE, choose, sample
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.names import Address, ModelId

M = ModelId("m")
A, B, C = (Address(name) for name in ("a:1", "b:1", "c:1"))
pick = partial(choose, [A, B, C], M)


@given(count=st.integers(0, 40), draw=st.floats(0, 1, exclude_max=True))
def test_a_sample_is_small_has_no_one_twice_and_is_whole_where_it_can_be(
    count: int, draw: float
) -> None:
    nodes = [Address(f"{n}:1") for n in range(count)]
    picked = list(sample(nodes, draw))
    assert len(picked) == min(count, SAMPLE) == len(set(picked))
    assert set(picked) <= set(nodes)


def test_every_node_can_be_sampled() -> None:
    nodes = [Address(f"{n}:1") for n in range(20)]
    assert {sample(nodes, n / 20)[0] for n in range(20)} == set(nodes)


def test_the_fastest_by_expected_wait() -> None:
    latency = Latencies()
    for node, ttft in ((A, 1.0), (B, 0.4), (C, 0.9)):
        latency.observe(node, M, ttft, 0.0)
    fastest = partial(pick, latency, policy="fastest", turn=0, draw=0.0, now=0.0)
    assert fastest() == B
    latency.began(B)
    latency.began(B)
    assert fastest() == C, "three in a row at 0.4 s take longer than one at 0.9 s"


@given(draw=st.floats(0, 1, exclude_max=True))
def test_ties_fall_to_chance(draw: float) -> None:
    latency = Latencies()
    latency.began(A)
    chosen = pick(latency, policy="fastest", turn=0, draw=draw, now=0.0)
    assert chosen == (B if draw < 0.5 else C)


def test_in_turn() -> None:
    turns = [pick(Latencies(), policy="round_robin", turn=n, draw=0.9, now=0.0) for n in range(4)]
    assert turns == [A, B, C, A]
