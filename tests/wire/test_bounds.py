"""What strangers and clients send is bounded at the door, and what is held of it is counted."""

import json

import pytest
from msgspec import Raw

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.bounds import (
    MAX_CHAT_VALUES,
    MAX_NAME_CHARS,
    MAX_STATE_COMMAS,
    bounded_state,
)
from exo_supervisor.wire.chat.extras import MAX_NAMES, Extras
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.hazards import read_hazards
from exo_supervisor.wire.exo.identity import encode_chat
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.outbound import read_models
from exo_supervisor.wire.sse import SseReader
from tests.wire.reading import body_gathered, gathered, streamed

HALF = b'data: {"choices": [{"index": 0, "delta": {"content": "half an eve'


def test_what_is_held_of_half_an_event_is_counted() -> None:
    reader = SseReader()
    reader.feed(HALF)
    answer = streamed("C")
    answer.feed(HALF)
    whole = gathered("C")
    whole.feed(HALF)
    assert reader.held == answer.held == whole.held >= len(HALF) - len(b"data: ")


def test_what_is_held_of_half_a_whole_answer_is_counted() -> None:
    whole = body_gathered("C")
    whole.feed(b'{"choices": ')
    whole.feed(b"[")
    assert whole.held == len(b'{"choices": [')


def test_a_state_of_too_many_values_is_refused_unread() -> None:
    assert bounded_state(b"[1,2]") == b"[1,2]"
    with pytest.raises(WireError):
        bounded_state(b"," * (MAX_STATE_COMMAS + 1))


def test_a_list_of_models_of_too_many_values_is_refused_unread() -> None:
    with pytest.raises(WireError):
        read_models(b'{"data": [' + b"0," * 2_000_000 + b"0]}")


def test_a_chunk_of_too_many_names_has_no_more_of_them_read() -> None:
    extras = Extras()
    names = b'"a":1,' * MAX_NAMES
    assert extras.see(b'{"a":{%b},%b"a":2}' % (names, b""), b"{%b}" % names)
    assert not extras.see(names + b'"a":1', b"")


def test_a_model_s_name_is_bounded() -> None:
    body = {"model": "m" * (MAX_NAME_CHARS + 1), "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(BadRequestError) as caught:
        read_chat(json.dumps(body).encode())
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("wrong_type", "model")


def test_a_number_in_what_nests_too_deeply_is_not_vouched_for() -> None:
    deep = b"[" * 100_000 + b"1" * 19 + b"]" * 100_000
    found = read_hazards(deep, {"z": Raw(deep)}, [True])
    assert found == {"z": "too_wide"}


def test_messages_that_all_have_content_go_to_generation_a_as_they_came() -> None:
    body = b'{"model": "m", "messages": [ {"role": "user",  "content": "x"} ]}'
    sent = encode_chat(read_chat(body), Ask("x", TRAITS["A"]))
    assert b'[ {"role": "user",  "content": "x"} ]' in sent


MANY = MAX_CHAT_VALUES + 1


@pytest.mark.parametrize(
    "more",
    [',{"role":"user","content":"x"}' * MANY, ",{}" * MANY, r',{"content":"\\\",\\"}' * MANY],
    ids=["messages", "empty", "texts"],
)
def test_a_request_of_more_values_than_are_decoded_is_too_large(more: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read_chat(f'{{"model":"m","messages":[{{"role":"user","content":"x"}}{more}]}}'.encode())
    assert (caught.value.refusal.status, caught.value.refusal.code) == (413, "body_too_large")


@pytest.mark.parametrize("text", ["1,", '","', "{},", "\\,", '\\",\\'])
def test_a_text_holds_as_many_commas_as_it_likes(text: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": text * MANY}] * 3}
    for ascii_ in (False, True):
        assert read_chat(json.dumps(body, ensure_ascii=ascii_).encode()).model == "m"
