"""Neighbours that send much and never come to an end hold a bounded room."""

from exo_supervisor.fleet_io.fetch import FOUND_ANSWER_BYTES, FOUND_GATHERED_BYTES
from exo_supervisor.http.intake import Intake

MIB = 2**20


class Dripping:
    """A state that grows and is never whole."""

    def __init__(self, intake: Intake) -> None:
        self._intake, self.held = intake, 0

    def grow(self) -> None:
        self.held += MIB
        self._intake.count(self, MIB, self.held)

    def give_up(self) -> None:
        self.held = 0


def test_thirty_states_that_drip_take_64_mib_and_new_ones_get_in() -> None:
    intake = Intake(FOUND_GATHERED_BYTES)
    dripping = [Dripping(intake) for _ in range(30)]
    for each in dripping:
        for _ in range(FOUND_ANSWER_BYTES // MIB):
            each.grow()
        assert each.held == FOUND_ANSWER_BYTES == 16 * MIB, "the last one has all its room"
        assert sum(one.held for one in dripping) <= 64 * MIB
