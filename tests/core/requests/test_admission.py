"""The gate lets in what there is room for, and forgets nobody and nothing."""

from hypothesis import stateful as sm
from hypothesis import strategies as st

from exo_supervisor.core.requests.admission import BODIES, SENDING, Gate

REQUESTS, BYTES = 2, 100


def test_the_house_is_full_at_its_last_request() -> None:
    gate = Gate(2)
    assert (gate.enter(), gate.enter(), gate.enter()) == (True, True, False)
    assert not gate.begin()
    gate.leave()
    assert gate.begin()
    assert gate.enter()


def test_bodies_under_way_keep_no_whole_request_out() -> None:
    gate = Gate(2)
    while gate.begin():
        pass
    assert (gate.sending, gate.requests) == (2 * SENDING, 0)
    assert gate.enter()
    gate.end()
    assert gate.begin()


def test_bodies_have_all_the_room_and_not_a_byte_more() -> None:
    gate = Gate(2)
    assert gate.take(BODIES - 1)
    assert not gate.take(2)
    assert gate.take(1)
    assert not gate.take(1)
    assert gate.take(0)


def test_nobody_begins_in_a_house_whose_bodies_fill_it_but_who_is_whole_may_enter() -> None:
    gate = Gate(9, BYTES)
    assert gate.take(BYTES)
    assert not gate.begin()
    assert gate.enter()
    gate.let_go(BYTES)
    assert gate.begin()


def test_a_gate_without_places_lets_nobody_in() -> None:
    assert not Gate(0).begin()
    assert not Gate(0).enter()


class AnyTraffic(sm.RuleBasedStateMachine):
    """Bodies come and grow, and requests enter and leave, in any order."""

    sending: sm.Bundle[list[int]] = sm.Bundle("sending")
    whole: sm.Bundle[list[int]] = sm.Bundle("whole")

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(REQUESTS, BYTES)
        self.coming: list[list[int]] = []
        self.inside: list[list[int]] = []

    @sm.rule(target=sending)
    def begin(self) -> sm.MultipleResults[list[int]]:
        full = len(self.inside) >= REQUESTS or self.taken() >= BYTES
        room = not full and len(self.coming) < SENDING * REQUESTS
        assert self.gate.begin() == room
        body: list[int] = []
        self.coming += [body] if room else []
        return sm.multiple(*([body] if room else []))

    @sm.rule(body=sending, size=st.integers(0, BYTES))
    def take(self, body: list[int], size: int) -> None:
        fits = self.taken() + size <= BYTES
        assert self.gate.take(size) == fits
        body += [size] if fits else []

    @sm.rule(target=whole, body=sm.consumes(sending))
    def enter(self, body: list[int]) -> sm.MultipleResults[list[int]]:
        self.gate.end()
        self.coming = [other for other in self.coming if other is not body]
        room = len(self.inside) < REQUESTS
        assert self.gate.enter() == room
        self.inside += [body] if room else []
        if not room:
            self.gate.let_go(sum(body))
        return sm.multiple(*([body] if room else []))

    @sm.rule(body=sm.consumes(whole))
    def leave(self, body: list[int]) -> None:
        self.gate.leave()
        self.gate.let_go(sum(body))
        self.inside = [other for other in self.inside if other is not body]

    @sm.invariant()
    def everybody_and_every_byte_is_counted(self) -> None:
        assert self.gate.sending == len(self.coming)
        assert self.gate.requests == len(self.inside)
        assert self.gate.bytes == self.taken()

    def taken(self) -> int:
        return sum(map(sum, self.coming + self.inside))


TestAnyTraffic = AnyTraffic.TestCase
