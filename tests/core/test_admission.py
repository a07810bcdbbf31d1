"""The gate lets in what there is room for, and forgets nobody and nothing."""

from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.admission import BODIES, Gate

REQUESTS, BYTES = 4, 100


def test_the_house_is_full_at_its_last_request() -> None:
    gate = Gate(2)
    assert (gate.enter(), gate.enter(), gate.enter()) == (True, True, False)
    gate.leave(0)
    assert gate.enter()


def test_bodies_have_all_the_room_and_not_a_byte_more() -> None:
    gate = Gate(2)
    assert gate.enter()
    assert gate.take(BODIES - 1)
    assert not gate.take(2)
    assert gate.take(1)
    assert not gate.take(1)
    assert gate.take(0)


def test_nobody_enters_a_house_whose_bodies_fill_it() -> None:
    gate = Gate(9, BYTES)
    assert gate.enter()
    assert gate.take(BYTES)
    assert not gate.enter()
    gate.leave(BYTES)
    assert gate.enter()


def test_a_gate_without_places_lets_nobody_in() -> None:
    assert not Gate(0).enter()


class AnyTraffic(sm.RuleBasedStateMachine):
    """Requests come, grow and leave in any order."""

    inside: sm.Bundle[list[int]] = sm.Bundle("inside")

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(REQUESTS, BYTES)
        self.bodies: list[list[int]] = []

    @sm.rule(target=inside)
    def enter(self) -> sm.MultipleResults[list[int]]:
        room = len(self.bodies) < REQUESTS and self.taken() < BYTES
        assert self.gate.enter() == room
        body: list[int] = []
        self.bodies += [body] if room else []
        return sm.multiple(*([body] if room else []))

    @sm.rule(body=inside, size=st.integers(0, BYTES))
    def take(self, body: list[int], size: int) -> None:
        fits = self.taken() + size <= BYTES
        assert self.gate.take(size) == fits
        body += [size] if fits else []

    @sm.rule(body=sm.consumes(inside))
    def leave(self, body: list[int]) -> None:
        self.gate.leave(sum(body))
        self.bodies = [other for other in self.bodies if other is not body]

    @sm.invariant()
    def every_request_and_byte_is_counted(self) -> None:
        assert self.gate.requests == len(self.bodies)
        assert self.gate.bytes == self.taken()

    def taken(self) -> int:
        return sum(map(sum, self.bodies))


TestAnyTraffic = AnyTraffic.TestCase
