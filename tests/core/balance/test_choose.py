"""The least loaded target is chosen, ties fall to chance, and a large house costs no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.balance.choose import POLICIES, SAMPLE, policy_named, sample, sample_start
from exo_supervisor.core.balance.situation import Situation
from exo_supervisor.core.load.concurrency import Concurrency
from exo_supervisor.core.load.latency import Latencies
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, ModelId
from exo_supervisor.core.policy import Policy

M = ModelId("m")
A, B, C = NODES = tuple((Address(name), M) for name in ("a:1", "b:1", "c:1"))


def situation(turn: int = 0, draw: float = 0.0) -> Situation:
    return Situation(Latencies(), Concurrency(), turn, draw, 0.0)


@given(count=st.integers(0, 40), draw=st.floats(0, 1, exclude_max=True))
def test_a_sample_is_small_has_no_one_twice_and_is_whole_where_it_can_be(
    count: int, draw: float
) -> None:
    nodes = [Address(f"{n}:1") for n in range(count)]
    picked = list(sample(nodes, sample_start(count, draw)))
    assert len(picked) == min(count, SAMPLE) == len(set(picked))
    assert set(picked) <= set(nodes)


def test_every_node_can_be_sampled() -> None:
    nodes = [Address(f"{n}:1") for n in range(20)]
    assert {sample(nodes, sample_start(20, n / 20))[0] for n in range(20)} == set(nodes)


def test_the_fastest_by_expected_wait() -> None:
    at = situation()
    for node, ttft in ((A, 1.0), (B, 0.4), (C, 0.9)):
        at.latency.observe(*node, ttft, 0.0)
    fastest = policy_named("fastest")
    assert NODES[fastest(NODES, at)] == B
    at.concurrency.acquire(B[0], None)
    at.concurrency.acquire(B[0], None)
    assert NODES[fastest(NODES, at)] == C, "three in a row at 0.4 s take longer than one at 0.9 s"


@given(draw=st.floats(0, 1, exclude_max=True))
def test_ties_fall_to_chance(draw: float) -> None:
    at = situation(draw=draw)
    at.concurrency.acquire(A[0], None)
    assert NODES[policy_named("fastest")(NODES, at)] == (B if draw < 0.5 else C)


def test_in_turn() -> None:
    in_turn = policy_named("round_robin")
    assert [in_turn(NODES, situation(turn, 0.9)) for turn in range(4)] == [0, 1, 2, 0]


def test_an_unknown_policy_is_refused_when_the_machine_is_built() -> None:
    policy = Policy(balance="fasted")
    with pytest.raises(ValueError, match="no balance policy is called 'fasted': use fastest or"):
        Machine(policy, 0.0)


def test_every_policy_of_the_table_chooses_among_those_it_is_given() -> None:
    for choose in POLICIES.values():
        assert choose([B], situation(turn=7, draw=0.99)) == 0
