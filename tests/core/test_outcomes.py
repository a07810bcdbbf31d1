"""A request that is wrong is refused in words that name what is wrong about it."""

from exo_supervisor.core.outcomes import Refusal, bad_request


def test_a_request_that_is_wrong_in_itself_is_a_bad_request() -> None:
    error = bad_request("bad_value", "n is no number", "n")
    assert error.refusal == Refusal(400, "bad_value", "n is no number", param="n")
    assert (str(error), error.refusal.outcome) == ("n is no number", "refused")
