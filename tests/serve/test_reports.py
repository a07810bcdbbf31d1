"""What the core is told of an attempt says nothing that is to stay hidden."""

from functools import partial

from exo_supervisor.core.outcomes import Fault
from tests.serve.virtual import JSON, House, refusal, start

REFUSED = b'{"error":{"message":"nobody knows hunter2 here"}}'


def hide(told: str) -> str:
    return told.replace("hunter2", "[key]")


def test_a_key_of_ours_in_the_words_of_a_failure_reaches_neither_the_core_nor_the_books() -> None:
    house = House(partial(start, generation=None), refusal, hide=hide)
    house.target.steps = [[(0.0, (400, JSON)), (0.0, REFUSED), (0.0, b"")]]
    house.chat()
    house.loop.run(5.0)
    [settled], [tried] = house.settled(), house.done[0].tried
    assert settled.failure.fault is Fault.REJECTED
    said = settled.failure.message, settled.failure.loggable, tried.message
    assert said == ("nobody knows [key] here",) * 3
