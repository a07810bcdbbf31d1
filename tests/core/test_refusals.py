"""What a client is told names what is wrong and what to do, and never echoes at length."""

from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import RequestId
from exo_supervisor.core.refusals import must_stay, not_found, not_placed


def asked(model: str) -> RequestArrived:
    return RequestArrived(request=RequestId("r"), model=model, deadline=9.0, draw=0.0)


def test_not_found() -> None:
    refusal = not_found(asked("lama"), ["llama", "lama2"])
    assert (refusal.status, refusal.code, refusal.param) == (404, "model_not_found", "model")
    assert refusal.message == (
        "no node and no provider has the model 'lama'; similar: llama, lama2"
    )
    assert not_found(asked("x"), []).message == "no node and no provider has the model 'x'"


def test_a_long_name_is_cut() -> None:
    assert "x" * 80 + "..." in not_found(asked("x" * 81), []).message
    assert "..." not in not_found(asked("x" * 80), []).message


def test_not_placed() -> None:
    refusal = not_placed(asked("card"), ["c", "b", "d", "a"])
    assert (refusal.status, refusal.code, refusal.param) == (404, "model_not_placed", "model")
    assert refusal.message.endswith("; ready now: a, b, c")
    assert "ready now" not in not_placed(asked("card"), []).message


def test_must_stay() -> None:
    refusal = must_stay(asked("m"))
    assert (refusal.status, refusal.code, refusal.param) == (403, "privacy", None)
