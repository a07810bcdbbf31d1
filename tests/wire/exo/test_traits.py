"""What each kind of peer is."""

import pytest

from exo_supervisor.core.names import Generation
from exo_supervisor.wire.exo.traits import TRAITS


@pytest.mark.parametrize(
    ("generation", "has_state"), [("A", False), ("B", True), ("C", True), (None, False)]
)
def test_a_state_is_asked_of_those_who_have_one(
    generation: Generation | None, *, has_state: bool
) -> None:
    assert TRAITS[generation].has_state is has_state
