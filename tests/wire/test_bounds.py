"""What strangers and clients send is bounded at the door, and what is held of it is counted."""

import json
import tracemalloc
from collections.abc import Callable

import pytest
from msgspec import Raw

from exo_supervisor.core.names import NodeId
from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.bounds import (
    MAX_CHAT_VALUES,
    MAX_CHOICES,
    MAX_NAME_CHARS,
    MAX_PART_BRACKETS,
    MAX_PART_BYTES,
    MAX_PART_COMMAS,
    MAX_STATE_BRACKETS,
    MAX_STATE_COMMAS,
    at_most,
    bounded_part,
    bounded_state,
    has_few_values,
)
from exo_supervisor.wire.chat.arguments import MAX_HELD, Arguments
from exo_supervisor.wire.chat.extras import MAX_OWED_BYTES, MAX_OWED_NAMES, Extras
from exo_supervisor.wire.chat.held_back import MAX_HELD_BYTES, HeldBack
from exo_supervisor.wire.chat.piece import MAX_CALLS, OversizedAnswerError, read_name
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.chat.retry_after import MAX_WAIT, retry_after
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.addresses import read_addresses
from exo_supervisor.wire.exo.hazards import read_hazards
from exo_supervisor.wire.exo.identity import encode_chat
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.lenient_json import MAX_LENIENT_BYTES, loads
from exo_supervisor.wire.openai.chunk import (
    MAX_CHUNK_OBJECTS,
    MAX_NAMES,
    read_chunk,
    read_strictly,
)
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.inputs import MAX_INPUTS, read_completions, read_embeddings
from exo_supervisor.wire.openai.outbound import read_models
from exo_supervisor.wire.sse import OversizedEventError, SseReader
from exo_supervisor.wire.table import ANSWERED
from exo_supervisor.wire.untrusted_json import UNREADABLE
from tests.wire.reading import body_gathered, body_streamed, gathered, streamed

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


@pytest.mark.parametrize(("bounded", "many"), [(bounded_part, 2_000), (bounded_state, 40_000)])
def test_what_nests_at_each_comma_is_refused_unread(
    bounded: Callable[[bytes], bytes], many: int
) -> None:
    """Few commas, and a hundred values between two of them."""
    nested = b"[" * 64 + b"]" * 64
    with pytest.raises(WireError):
        bounded(b"[" + (nested + b",") * many + b"0]")
    assert bounded(nested) == nested


def test_a_list_of_models_of_too_many_values_is_refused_unread() -> None:
    with pytest.raises(WireError):
        read_models(b'{"data": [' + b"0," * 2_000_000 + b"0]}")


def test_a_chunk_of_too_many_names_has_no_more_of_them_read() -> None:
    names = b'"a":1,' * (MAX_NAMES - 3) + b'"a":1'
    within = b'{"a":{%b},"choices":[{"delta":{%b}}]}' % (names, names)
    assert read_strictly(within)[0].keys() == {"a"}
    for odd in (b"1", b"NaN"):  # which is read leniently
        with pytest.raises(OversizedAnswerError):
            read_chunk(b'{"a":{%b,"a":1},"b":%b,"choices":[]}' % (names, odd))


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\n", b" \r\n"])
def test_names_count_however_far_their_colons_stand(blank: bytes) -> None:
    names = b",".join([b'"a"%b:1' % blank] * MAX_NAMES)
    with pytest.raises(OversizedAnswerError):
        read_chunk(b'{%b,"choices":[]}' % names)
    within = b'{"b":1,"choices":[{"delta":{%b}}]}' % names
    assert read_strictly(within)[0].keys() == {"b"}


def test_a_text_beside_the_choices_has_as_many_colons_as_it_likes() -> None:
    told = b'{"a":"%b","choices":[]}' % (b" :" * 2 * MAX_NAMES)
    assert read_strictly(told)[0].keys() == {"a"}


def test_of_a_name_beyond_the_bound_nothing_is_kept_once_it_is_read() -> None:
    size = 2**20

    def read(name: str) -> None:
        body = json.dumps({"model": name * size, "choices": []}).encode()
        reading = body_streamed()
        reading.feed(body)
        reading.close()

    read("a")
    tracemalloc.start()
    try:
        read("b")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < size / 2


def test_a_model_s_name_is_bounded() -> None:
    body = {"model": "m" * (MAX_NAME_CHARS + 1), "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(BadRequestError) as caught:
        read_chat(json.dumps(body).encode())
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("wrong_type", "model")


def test_a_number_in_what_nests_too_deeply_is_not_vouched_for() -> None:
    deep = b"[" * 100_000 + b"1" * 19 + b"]" * 100_000
    found = read_hazards(deep, {"z": Raw(deep)}, [True])
    assert found == {"z": "too_wide"}


def test_what_nests_deeply_without_a_long_number_is_not_looked_through_for_one() -> None:
    deep, text = b"[" * 100_000 + b"1" + b"]" * 100_000, b'"%b"' % (b"1" * 19)
    fields = {"z": Raw(deep), "user": Raw(text)}
    assert read_hazards(deep + text, fields, [True]) == {}


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


@pytest.mark.parametrize("nest", ["[" * 400 + "]" * 400, '{"":' * 400 + "1" + "}" * 400])
@pytest.mark.parametrize("read", [read_chat, ANSWERED["/v1/messages/count_tokens"].answer])
def test_what_nests_at_each_comma_is_too_large(read: Callable[[bytes], object], nest: str) -> None:
    """Thirty megabytes of it took half a minute to decode."""
    few, many = 2 * MAX_CHAT_VALUES // 400 - 1, 2 * MAX_CHAT_VALUES // 400 + 1
    chat = '{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"x"}}],"x":[{}]}}'
    read(chat.format(",".join([nest] * few)).encode())
    with pytest.raises(BadRequestError) as caught:
        read(chat.format(",".join([nest] * many)).encode())
    assert (caught.value.refusal.status, caught.value.refusal.code) == (413, "body_too_large")


def test_as_many_values_as_ever_are_read_though_each_is_an_object() -> None:
    more = ',{"role":"user"}' * (MAX_CHAT_VALUES - 4)
    body = f'{{"model":"m","messages":[{{"role":"user","content":"x"}}{more}]}}'
    assert read_chat(body.encode()).model == "m"


def test_a_role_of_many_values_is_not_decoded() -> None:
    role = b"[%b1]" % (b"1.5," * 50_000)
    body = b'{"model":"m","messages":[{"role":%b,"content":"x"}]}' % role
    tracemalloc.start()
    read_chat(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * len(body)


@pytest.mark.parametrize("role", ["[]", "{}", "1", "null"])
def test_a_role_that_is_no_text_goes_to_a_node_as_it_came(role: str) -> None:
    messages = (
        f'[{{"role":"user","content":"x"}},{{"role":"system","content":"y"}},'
        f'{{"role":{role},"content":"z"}}]'
    )
    sent = encode_chat(
        read_chat(b'{"model":"m","messages":%b}' % messages.encode()), Ask("x", TRAITS["C"])
    )
    assert json.loads(sent)["messages"][-1]["role"] == json.loads(role)


@pytest.mark.parametrize("text", ["1,", '","', "{},", "[{", "\\,", '\\",\\'])
def test_a_text_holds_as_many_commas_as_it_likes(text: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": text * MANY}] * 3}
    for ascii_ in (False, True):
        assert read_chat(json.dumps(body, ensure_ascii=ascii_).encode()).model == "m"


def allows(check: Callable[[bytes], bytes], body: bytes) -> bool:
    try:
        return check(body) is body
    except WireError:
        return False


@pytest.mark.parametrize(
    ("check", "fits", "over"),
    [
        (bounded_part, b"," * MAX_PART_COMMAS, b","),
        (bounded_part, b"[{" * (MAX_PART_BRACKETS // 2), b"["),
        (bounded_part, b"x" * MAX_PART_BYTES, b"x"),
        (bounded_state, b"," * MAX_STATE_COMMAS, b","),
        (bounded_state, b"[{" * (MAX_STATE_BRACKETS // 2), b"{"),
    ],
)
def test_what_a_node_tells_is_bounded_to_the_last_mark(
    check: Callable[[bytes], bytes], fits: bytes, over: bytes
) -> None:
    assert allows(check, fits)
    assert not allows(check, fits + over)


def test_what_a_client_asks_is_bounded_to_the_last_mark() -> None:
    for fits, over in (
        (b"," * MAX_CHAT_VALUES + b" ", b","),
        (b"[{" * MAX_CHAT_VALUES, b"["),
        (b'",,"' * MAX_CHAT_VALUES, b'""'),
        (b'"' + b"," * (MAX_CHAT_VALUES + 1) + b'"' + b"," * MAX_CHAT_VALUES, b","),
    ):
        assert has_few_values(fits)
        assert not has_few_values(fits + over)


def test_names_are_as_many_and_as_long_as_they_may_be() -> None:
    long = "n" * MAX_NAME_CHARS
    assert at_most(2, iter([long, "b"])) == (long, "b")
    for names in (["a", "b", "c"], [long + "n"]):
        with pytest.raises(WireError):
            at_most(2, names)


def test_a_name_has_a_bound_however_it_is_escaped() -> None:
    for one in ("a", "\u00e9", "\\u0061"):
        assert read_name(f'"{one * MAX_NAME_CHARS}"'.encode()) is not None
        assert read_name(f'"{one * (MAX_NAME_CHARS + 1)}"'.encode()) is None
    for none in (b'""', b"null", b"5", b'"a\\u0007"', b'"', b'"\\ud800'):
        assert read_name(none) is None


@pytest.mark.parametrize("odd", ["", ',"odd":NaN'])
def test_choices_and_calls_of_one_chunk_have_a_bound_in_what_is_nearly_json_too(odd: str) -> None:
    def chunk(choices: int, index: int, calls: int) -> bytes:
        last = b'{"index":%d,"delta":{"tool_calls":[%b]}}' % (index, b",".join([b"{}"] * calls))
        told = b",".join([b'{"index":0,"delta":{}}'] * (choices - 1) + [last])
        return b'{"choices":[%b]%b}' % (told, odd.encode())

    assert len(read_chunk(chunk(MAX_CHOICES, MAX_CHOICES - 1, MAX_CALLS))[1]) == MAX_CHOICES
    for many in ((MAX_CHOICES + 1, 0, 1), (1, MAX_CHOICES, 1), (1, 0, MAX_CALLS + 1), (1, -1, 1)):
        with pytest.raises(UNREADABLE):
            read_chunk(chunk(*many))


def test_what_is_nearly_json_keeps_all_of_its_delta_but_a_role_that_says_nothing() -> None:
    for role, kept in ((b"null", b""), (b'"assistant"', b'"role":"assistant",')):
        delta = b'{"role":%b,"content":null,"odd":NaN}' % role
        _, [piece] = read_chunk(b'{"choices":[{"delta":%b}]}' % delta)
        assert bytes(piece.raw).replace(b" ", b"") == b'{%b"content":null,"odd":null}' % kept


def test_what_is_kept_of_odd_members_is_bounded_to_the_last_name_and_byte() -> None:
    names = {f"n{n}": Raw(b"1") for n in range(MAX_OWED_NAMES)}
    assert Extras().note(names)
    assert not Extras().note(names | {"one": Raw(b"1")})
    fits = Raw(b"0" * (MAX_OWED_BYTES - 1))
    assert Extras().note({"n": fits})
    assert not Extras().note({"nn": fits})


def test_what_is_held_back_before_the_first_word_is_bounded_to_the_last_byte() -> None:
    held = HeldBack()
    assert held.add(b"x" * MAX_HELD_BYTES, content=False) == b""
    with pytest.raises(OversizedAnswerError):
        held.add(b"x", content=False)


def test_a_model_has_a_name_of_as_many_characters_as_may_be() -> None:
    for size, fits in ((MAX_NAME_CHARS, True), (MAX_NAME_CHARS + 1, False)):
        body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}]}' % (b"m" * size)
        if fits:
            assert len(read_chat(body).model) == size
            continue
        with pytest.raises(BadRequestError):
            read_chat(body)


def test_a_wait_of_nothing_is_one_and_a_negative_one_is_none() -> None:
    waits = [retry_after({"retry-after": text}, 0.0) for text in ("0", "0.5", "-1", "1e9")]
    assert waits == [0.0, 0.5, None, MAX_WAIT]


def test_a_port_is_one_up_to_the_last() -> None:
    for port, found in ((65_535, ("10.0.0.1:65535",)), (65_536, ())):
        edge = {"sinkMultiaddr": {"address": f"/ip4/10.0.0.1/tcp/{port}"}}
        told = {"connections": {"a": {"b": [edge]}}}
        assert read_addresses(b"{}", json.dumps(told).encode()).get(NodeId("b"), ()) == found


def test_arguments_are_looked_at_as_long_as_all_of_them_are_kept() -> None:
    for more, is_cut in ((b"", True), (b"x", False)):
        arguments = Arguments()
        text = '{"a":"' + "x" * (MAX_HELD - 256 - 6) + more.decode()
        arguments.add(0, [{"index": 0, "id": "c", "function": {"arguments": text}}])
        assert arguments.held == MAX_HELD + len(more)
        assert arguments.end_within(0) is is_cut


def test_an_event_has_a_bound_to_the_last_byte_whole_or_in_parts() -> None:
    for size in (20, 21):
        event = b"data: " + b"x" * (size - 8) + b"\n\n"
        assert (SseReader(20).one_message(event) is None) == (size > 20)
    for size, fits in ((20, True), (21, False)):
        reader = SseReader(20)
        if fits:
            reader.feed(b"x" * size)
            continue
        with pytest.raises(OversizedEventError):
            reader.feed(b"x" * size)


def test_what_is_nearly_json_has_a_bound_to_the_last_byte() -> None:
    fits = b'"' + b"x" * (MAX_LENIENT_BYTES - 2) + b'"'
    assert loads(fits) == "x" * (MAX_LENIENT_BYTES - 2)
    with pytest.raises(UNREADABLE):
        loads(fits + b" ")


def test_a_list_names_models_of_as_many_characters_as_may_be() -> None:
    long = "m" * MAX_NAME_CHARS
    assert list(read_models(json.dumps([long, long + "m", "n"]).encode())) == [long, "n"]


def test_texts_and_prompts_are_as_many_as_they_may_be() -> None:
    for read, field, most in (
        (read_embeddings, "input", MAX_INPUTS), (read_completions, "prompt", MAX_CHOICES),
    ):  # fmt: skip
        assert read(json.dumps({"model": "m", field: ["a"] * most}).encode()).n == most
        with pytest.raises(BadRequestError):
            read(json.dumps({"model": "m", field: ["a"] * (most + 1)}).encode())


def test_objects_of_a_chunk_are_as_many_as_they_may_be() -> None:
    for more, fits in ((0, True), (1, False)):
        many = b",".join([b"{}"] * (MAX_CHUNK_OBJECTS - 2 + more))
        body = b'{"choices":[{"delta":{},"logprobs":[%b]}]}' % many
        if fits:
            assert len(read_strictly(body)[1]) == 1
            continue
        with pytest.raises(UNREADABLE):
            read_strictly(body)


def test_whole_answers_are_held_to_the_last_byte() -> None:
    answer = body_gathered("C", most_bytes=5)
    answer.writer.note(5)
    with pytest.raises(OversizedAnswerError):
        answer.writer.note(1)
