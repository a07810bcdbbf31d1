"""What people are told of a failure is never nothing."""

import pytest

from exo_supervisor.errors import NotOursError, why_failed


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(28, "No space left on device"), "no space left on device"),
        (NotOursError("It is no list"), "it is no list"),
        (OSError("Stale"), "stale"),
        (TimeoutError(), "timeouterror"),
    ],
)
def test_a_failure_is_told_by_the_system_by_its_text_or_by_its_kind(
    fault: Exception, words: str
) -> None:
    assert why_failed(fault) == words
