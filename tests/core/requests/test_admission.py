"""The gate lets in what there is room for, and forgets nobody."""

from hypothesis import stateful as sm

from exo_supervisor.core.requests.admission import SENDING, Gate
from exo_supervisor.core.requests.bodies import Sender
from tests.core.requests.test_bodies import Body

REQUESTS = 2


def sender() -> Sender:
    return Body(1, 0.0, lambda: None)


def test_the_house_is_full_at_its_last_request() -> None:
    gate = Gate(2)
    assert (gate.enter(), gate.enter(), gate.enter()) == (True, True, False)
    assert not gate.begin(sender())
    gate.leave()
    assert gate.begin(sender())
    assert gate.enter()


def test_bodies_under_way_keep_no_whole_request_out() -> None:
    gate, last = Gate(2), sender()
    while gate.begin(sender()):
        pass
    assert (gate.bodies.sending, gate.requests) == (2 * SENDING, 0)
    assert gate.enter()
    assert not gate.begin(last)
    gate.bodies.end(last)
    assert not gate.begin(last), "it was not under way"


def test_a_gate_without_places_lets_nobody_in() -> None:
    assert not Gate(0).begin(sender())
    assert not Gate(0).enter()


class AnyTraffic(sm.RuleBasedStateMachine):
    """Bodies come, and requests enter and leave, in any order."""

    sending: sm.Bundle[Sender] = sm.Bundle("sending")
    whole: sm.Bundle[Sender] = sm.Bundle("whole")

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate(REQUESTS)
        self.coming, self.inside = 0, 0

    @sm.rule(target=sending)
    def begin(self) -> sm.MultipleResults[Sender]:
        room = self.inside < REQUESTS and self.coming < SENDING * REQUESTS
        body = sender()
        assert self.gate.begin(body) == room
        self.coming += room
        return sm.multiple(*([body] if room else []))

    @sm.rule(target=whole, body=sm.consumes(sending))
    def enter(self, body: Sender) -> sm.MultipleResults[Sender]:
        self.gate.bodies.end(body)
        self.coming -= 1
        room = self.inside < REQUESTS
        assert self.gate.enter() == room
        self.inside += room
        return sm.multiple(*([body] if room else []))

    @sm.rule(body=sm.consumes(whole))
    def leave(self, body: Sender) -> None:
        self.gate.leave()
        self.gate.bodies.close(body)
        self.inside -= 1

    @sm.invariant()
    def everybody_is_counted(self) -> None:
        assert self.gate.bodies.sending == self.coming
        assert self.gate.requests == self.inside


TestAnyTraffic = AnyTraffic.TestCase
