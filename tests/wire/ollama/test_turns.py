"""Results of tools find their calls, at a cost that grows as the conversation does."""

import pytest

from exo_supervisor.wire.ollama.turns import Conversation, Function, ToolCall, Turn
from tests.wire.work import Counted


def asked(*names: str, identity: str | None = None) -> Turn:
    return Turn("assistant", tool_calls=[ToolCall(Function(name), identity) for name in names])


def answered(*turns: Turn) -> list[object]:
    talk = Conversation()
    for at, turn in enumerate(turns):
        talk.add(turn, at)
    return [told["tool_call_id"] for told in talk.messages if told["role"] == "tool"]


def test_a_result_belongs_to_the_first_call_of_its_tool_that_has_none() -> None:
    f, g, whichever = (Turn("tool", tool_name=name) for name in ("f", "g", None))
    named = Turn("tool", tool_call_id="call_1")
    calls = asked("f", "g", "f", "g")
    assert answered(calls, f, f, g, g) == ["call_1", "call_3", "call_2", "call_4"]
    assert answered(calls, whichever, f, whichever, g) == ["call_1", "call_3", "call_2", "call_4"]
    assert answered(calls, named, f, whichever) == ["call_1", "call_3", "call_2"]
    assert answered(calls, f, f, f, Turn("tool", tool_name="h")) == [
        "call_1", "call_3", "call_4", "call_4",
    ]  # fmt: skip


def test_an_id_that_is_used_again_waits_for_a_result_again() -> None:
    f, again = Turn("tool", tool_name="f"), asked("f", identity="a")
    assert answered(again, again, f, f) == ["a", "call_2"]
    assert answered(again, f, again, f) == ["a", "a"]


def looks(count: int, *, named: bool) -> int:
    calls = [ToolCall(Function(Counted("f")), Counted(f"id{at}")) for at in range(count)]
    results = [
        Turn("tool", tool_call_id=Counted(f"id{at}"))
        if named
        else Turn("tool", tool_name=Counted("f" if at % 2 else "g"))
        for at in range(count)
    ]
    Counted.looks = 0
    answered(Turn("assistant", tool_calls=calls), *results)
    return Counted.looks


@pytest.mark.parametrize("named", [True, False])
def test_twice_the_calls_and_results_are_twice_the_work(*, named: bool) -> None:
    assert 1.5 < looks(400, named=named) / looks(200, named=named) < 2.5
