"""One request whose last resort fails, too, costs no other its tick."""

import pytest

from exo_supervisor.core.names import RequestId
from exo_supervisor.serve.exchange import Exchange, Order
from exo_supervisor.serve.live import TICK, LiveRequests
from tests.serve.virtual import Loop


class Looked:
    """A request that counts how often it was looked at, and fails or asks for a second look."""

    exchange: Exchange | None = None

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.looks = fails, 0
        self.at: list[float] = []

    def take(self, order: Order) -> None:
        raise AssertionError(order)

    def due(self, now: float) -> bool:
        self.at.append(now)
        self.looks += 1
        if self.fails:
            raise OSError
        return True


@pytest.mark.parametrize("failing", [{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 1, 2}])
def test_a_request_that_fails_in_the_end_costs_no_other_its_tick(failing: set[int]) -> None:
    loop = Loop()
    live = LiveRequests(loop, loop.time)
    requests = [Looked(fails=number in failing) for number in range(3)]
    for number, each in enumerate(requests):
        live.add(str(number), each)
    for tick in (1, 2):
        with pytest.raises(OSError):  # noqa: PT011 -- it is the loop that is told
            loop.run(TICK)
        loop.settle()  # the second looks, when waiting bytes were read
        wanted = [tick if number in failing else 2 * tick for number in range(3)]
        assert [each.looks for each in requests] == wanted


def test_an_instant_that_has_passed_is_looked_at_at_once_and_one_to_come_then() -> None:
    for after in (-5.0, 0.0, 0.1):
        loop = Loop()
        live, looked = LiveRequests(loop, loop.time), Looked()
        live.look_at(looked, loop.now + after)
        loop.run(max(0.0, after) - 0.05)
        assert looked.looks == (2 if after <= 0 else 0)
        loop.run(0.06)
        assert looked.looks == 2, "once more, when waiting bytes were read"


def test_a_timer_that_rings_too_early_or_too_late_is_looked_at_as_of_its_instant_or_later() -> None:
    for clock, told in ((99.9, 101.0), (101.5, 101.5)):
        loop, looked = Loop(), Looked()
        LiveRequests(loop, lambda clock=clock: clock).look_at(looked, 101.0)
        loop.run(5.0)
        assert looked.at[0] == told


def test_of_a_request_that_nobody_answers_yet_no_token_has_come() -> None:
    loop = Loop()
    live = LiveRequests(loop, loop.time)
    live.add("waits", Looked())
    for request in ("waits", "gone"):
        assert live.reading(RequestId(request)) is None
        assert live.tokens(RequestId(request)) == 0
