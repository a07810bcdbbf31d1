import pytest

from exo_supervisor.core.network import MEANINGS, NOT_SENT, Why, why_of
from exo_supervisor.core.outcomes import VERDICTS, Blame, Fault
from exo_supervisor.http.faults import NetworkFault


def test_each_fault_of_the_network_has_its_row_and_no_row_is_left_over() -> None:
    assert set(MEANINGS) == {fault.value for fault in NetworkFault}


@pytest.mark.parametrize("fault", NetworkFault)
def test_whoever_did_not_answer_is_blamed_unless_we_had_no_descriptor(fault: NetworkFault) -> None:
    row = MEANINGS[fault.value]
    ours = fault is NetworkFault.EXHAUSTED
    for died in (row.connect, row.head):
        assert (VERDICTS[died].blame is Blame.TARGET) is not ours
    assert row.body in {Fault.RESET, Fault.PAYLOAD}


@pytest.mark.parametrize(
    ("fault", "detail", "why"),
    [
        ("barred", "outside", "outside"),
        ("barred", "other_user", "other_user"),
        ("barred", "a word that nobody knows", "no_route"),
        ("refused", "outside", "refused"),
        ("payload", "", "bad_answer"),
    ],
)
def test_a_look_fails_for_the_reason_that_the_border_gave(
    fault: str, detail: str, why: Why
) -> None:
    assert why_of(fault, detail) == why


def test_what_may_have_been_read_counts_as_sent() -> None:
    assert NOT_SENT.isdisjoint({"timeout", "reset", "bad_answer"})
