"""What another target is asked to go on with is what the client was told, and nothing else."""

import json

import msgspec

from exo_supervisor.core.effects import StartAttempt, Timers
from exo_supervisor.core.names import ModelId, ProviderName, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.continuation import Broken, Continuation
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.table import OPERATIONS
from tests.wire.reading import read_into

TIMERS = Timers(connect=2.0, headers=8.0, first_content=30.0, first_content_max=300.0, stall=20.0)
ERROR = b'data: {"error":{"message":"boom","type":"server_error"}}\n\n'


def text(content: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % content.encode()


def start(attempt: int, *, resumes: bool = False) -> StartAttempt:
    return StartAttempt(
        request=RequestId("r"),
        attempt=attempt,
        target=ProviderName(f"cloud-{attempt}"),
        url="http://cloud",
        model=ModelId("m"),
        generation=None,
        timers=TIMERS,
        shift=None,
        continues=True,
        resumes=resumes,
    )


def test_what_an_attempt_said_in_vain_is_forgotten() -> None:
    """Its first content and its end came in one read, so that its client saw neither."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Tell me."}], "stream": True}
    chat = read_chat(json.dumps(body).encode())
    parts = Continuation(chat)
    for order, said in ((start(1), text("lost ") + ERROR), (start(2), text("heard "))):
        parts.ask(order)
        reply = parts.follow(Reply("x", 1, "m", chat), joined=False)
        read_into(OPERATIONS["/v1/chat/completions"].stream(reply)).feed(said)
    asked = parts.ask(start(3, resumes=True))
    last = msgspec.json.decode(asked.fields["messages"])[-1]
    assert last == {"role": "assistant", "content": "heard "}


def test_who_would_not_go_on_hides_nobody_who_broke_off() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Tell me."}], "stream": True}
    chat = read_chat(json.dumps(body).encode())
    parts = Continuation(chat)
    first, refusing = Broken("a", Fault.RESET, 3), Broken("b", Fault.REJECTED, 0)
    assert parts.broken(first, spoke=True) == first
    assert parts.broken(refusing, spoke=False) == first
    left = Broken("b", Fault.CLIENT_LEFT, 0)
    assert parts.broken(left, spoke=False) == left
    second = Broken("b", Fault.STALL, 2)
    assert parts.broken(second, spoke=True) == second
    assert parts.broken(refusing, spoke=False) == second


def test_what_broke_off_is_told_by_whose_fault_it_was() -> None:
    late, lost = Broken("a", Fault.DEADLINE, 3).refusal(), Broken("a", Fault.RESET, 3).refusal()
    assert (late.status, late.code, late.outcome) == (504, "deadline", "abandoned")
    assert (lost.status, lost.code, lost.outcome) == (502, "attempts_failed", "failure")
    assert late.message == (
        "the deadline passed after 3 pieces of its answer: this answer is not whole"
    )
    assert lost.message == (
        "a broke off after 3 pieces of its answer (reset): this answer is not whole"
    )
