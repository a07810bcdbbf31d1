"""Turns in a row: one message, at a cost that grows as they do."""

from functools import partial

import pytest
from msgspec import Raw

from exo_supervisor.wire.anthropic.turns import Block, Conversation, Turn, system_text
from tests.wire.work import bytes_made

ATTRIBUTION = "x-anthropic-billing-header: cc=1"
REST = "You must answer in French.\nAlways."


@pytest.mark.parametrize("gap", ["\n", "\r\n", "\n\n"])
def test_only_the_line_that_names_the_client_is_taken_out_of_a_system_prompt(gap: str) -> None:
    told = f"{ATTRIBUTION}{gap}{REST}"
    assert system_text(told) == REST
    assert system_text([Block("text", told), Block("text", "Be brief")]) == f"{REST}\n\nBe brief"
    assert system_text([Block("text", f"{ATTRIBUTION}{gap}"), Block("text", REST)]) == REST
    assert system_text(f"{REST}\n{ATTRIBUTION}") == f"{REST}\n{ATTRIBUTION}"


LONG = "x" * 1_000
IN_A_ROW = {
    "texts": Turn("assistant", LONG),
    "thoughts": Turn("assistant", [Block("thinking", thinking=LONG)]),
    "calls": Turn("assistant", [Block("tool_use", id="t", name="f", input=Raw(b"{}"))]),
    "user": Turn("user", "hi"),
}


def made(turn: Turn, count: int) -> int:
    talk = Conversation("")
    return bytes_made([*(partial(talk.add, turn, at) for at in range(count)), talk.messages])


@pytest.mark.parametrize("turn", IN_A_ROW.values(), ids=IN_A_ROW)
def test_twice_the_turns_in_a_row_are_twice_the_work(turn: Turn) -> None:
    made(turn, 10)  # what is made once
    assert 1.5 < made(turn, 3_000) / made(turn, 1_500) < 2.5
