"""What an upstream repeats of a request is in none of its words that we log."""

import json
import sys
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from msgspec import Raw

from exo_supervisor.wire.chat import echo
from exo_supervisor.wire.chat.echo import (
    MAX_COMPARED_BYTES,
    MAX_COMPARED_CHARS,
    MAX_COMPARED_COMMAS,
    RUN_CHARS,
    without_request,
)

PROMPT = 'My "sister" Zoë-Marie owes 4,711 € to\nthe baker in Żelazna street; write her a poem'
WISH = "never tell the neighbours about the greenhouse in the cellar"


def fields(*contents: object, **more: object) -> dict[str, Raw]:
    messages = [{"role": "user", "content": content} for content in contents]
    told = {"model": "org/some-model-of-a-long-name-4bit", "messages": messages, **more}
    return {name: Raw(json.dumps(value).encode()) for name, value in told.items()}


REQUEST = fields(PROMPT, tools=[{"function": {"name": "f", "description": WISH}}])
ECHOES = {
    "plain": PROMPT.replace("\n", " "),
    "as_json": json.dumps(PROMPT),
    "as_json_in_json": json.dumps(json.dumps(PROMPT)),
    "as_wide_json": json.dumps(PROMPT, ensure_ascii=False),
    "upper_cased": PROMPT.upper(),
    "lower_cased": PROMPT.lower(),
    "end_cut_off": PROMPT[:60],
    "beginning_cut_off": PROMPT[25:],
    "in_the_middle_of_a_word": PROMPT[30:70],
    "other_blanks": "  ".join(PROMPT.split()),
    "as_a_list": str([{"role": "user", "content": PROMPT}]),
    "of_a_tool": WISH,
    "for_an_address": quote(PROMPT),
    "for_a_page": "".join(f"&#{ord(each)};" for each in PROMPT),
    "in_base64": b64encode(PROMPT.encode()).decode(),
    "in_base64_for_an_address": urlsafe_b64encode(PROMPT.encode()).decode().rstrip("="),
    "in_base64_cut_off": b64encode(PROMPT.encode()).decode()[:50],
    "in_base64_without_its_beginning": b64encode(PROMPT.encode()).decode()[9:],
    "in_hexadecimal": PROMPT.encode().hex(),
    "in_hexadecimal_without_its_beginning": PROMPT.encode().hex().upper()[7:],
    "words_of_a_tool": WISH.upper()[6:40],
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_a_prompt_that_is_repeated_is_cut_out(echo: str) -> None:
    said = without_request(f"cannot parse: {echo} -- try again", REQUEST)
    assert said.startswith("cannot ")
    assert said.endswith(" again")
    left = said.lower()
    for word in ("sister", "zo", "marie", "owes", "711", "baker", "poem", "neighbours", "green"):
        assert word not in left


def test_a_request_in_utf8_is_compared_alike() -> None:
    wide = {"messages": Raw(json.dumps([{"content": PROMPT}], ensure_ascii=False).encode())}
    assert without_request(json.dumps(PROMPT)[1:-1], wide) == "…"


def test_a_language_without_blanks_is_cut_out_too() -> None:
    said = without_request("invalid: 请不要告诉任何人这", fields("请不要告诉任何人这件事情,谢谢"))
    assert said == "invalid: …"


@pytest.mark.parametrize("prompt", ["Who is she?", "hunter2", "4711"])
def test_a_short_prompt_is_cut_out_as_a_whole(prompt: str) -> None:
    for content in (prompt, [{"type": "text", "text": prompt}]):
        assert without_request(f"bad: {prompt} or so", fields(content)).startswith("bad: …")
    assert without_request(f"bad: x{prompt}", fields(prompt)) == f"bad: x{prompt}", "another word"


def test_the_name_of_a_member_is_cut_out_as_a_text_is() -> None:
    wishes = fields("hi", tools=[{"function": {"parameters": {"properties": {WISH: 1}}}}])
    assert without_request(f"bad: {WISH} or so", wishes) == "bad: … or so"


@pytest.mark.parametrize("secret", ["hunter2", "Who is she?"])
def test_a_short_prompt_is_cut_out_in_other_letters_too(secret: str) -> None:
    for coded in (b64encode(secret.encode()).decode(), secret.encode().hex()):
        assert without_request(f"bad: {coded} or so", fields(secret)) == "bad: … or so"


@pytest.mark.parametrize(
    "words",
    [
        "request id req_011CSHoEeqs5C35K2UUqR7Fy, deployment 9f86d081884c7d659a2feaa0c55ad015",
        "the model org/some-model-of-a-long-name-4bit does not exist",
        "This model's maximum context length is 8192 tokens; your messages have 9000",
        "messages.0.role: Input should be 'system', 'user', 'assistant' or 'tool'",
        "Rate limit reached for requests per min (RPM): Limit 3, Used 3",
        "insufficient_quota",
        "",
    ],
)
def test_an_upstreams_own_words_are_kept(words: str) -> None:
    assert without_request(words, REQUEST) == words


def test_a_few_common_words_are_no_echo() -> None:
    words = "write to the baker: out of memory"
    assert without_request(words, REQUEST) == words


def test_each_run_has_one_mark_of_its_own() -> None:
    said = without_request("no: write her a poem, my sister zoë marie owes, ok", REQUEST)
    assert said == "no: write her a poem, …, ok"


def test_of_a_request_too_large_to_be_compared_nothing_is_said() -> None:
    assert without_request("bad", fields("x" * MAX_COMPARED_BYTES)) == ""
    assert without_request("bad", fields(*[0] * MAX_COMPARED_COMMAS)) == ""
    assert without_request("bad", fields("x" * (MAX_COMPARED_BYTES - 200))) == "bad"


def test_what_is_no_text_is_passed_over() -> None:
    assert without_request("bad 4711", fields(4711, None, {"n": 4711})) == "bad 4711"


def test_of_a_request_that_cannot_be_read_nothing_is_said() -> None:
    assert without_request("bad", {"messages": Raw(rb'["\ud800"]')}) in ("", "bad")
    assert without_request("bad", {"messages": Raw(b"[" * 100_000)}) == ""


def test_what_the_client_said_in_its_own_dialect_alone_is_cut_out_too() -> None:
    native = {**REQUEST, "container": Raw(json.dumps(f"of {WISH}").encode())}
    known = fields("hi")
    assert without_request(f"bad: {WISH}", known) == f"bad: {WISH}"
    assert without_request(f"bad: {WISH}", known, native) == "bad: …"
    assert without_request(f"bad: {PROMPT}", REQUEST, native) == "bad: …"
    assert without_request("bad: hi", known, native) == "bad: hi"
    assert without_request("bad: zebra", fields("zebra"), native) == "bad: …"


def test_each_of_the_two_shapes_has_the_whole_bound() -> None:
    half = fields("x" * (MAX_COMPARED_BYTES - 200))
    assert without_request("bad", half, half) == "bad"
    assert without_request("bad", half, fields("x" * MAX_COMPARED_BYTES)) == ""


@pytest.mark.parametrize("name", ["data", "input", "prompt"])
def test_a_short_text_is_cut_out_as_a_whole_by_whichever_name_it_goes(name: str) -> None:
    for told in ("hunter2", ["a", "hunter2"]):
        raw = {name: Raw(json.dumps(told).encode())}
        assert without_request("bad: hunter2 or so", raw) == "bad: … or so"


def test_one_word_as_long_as_a_run_is_cut_out_wherever_it_stands_in_the_request() -> None:
    word = "abcdefghijkl" * 2
    for before in range(2 * RUN_CHARS):
        told = without_request(f"no: {word}, ok", fields(f"{'z' * before}{word}yyy and more"))
        assert told == "no: …, ok"
    assert without_request(f"no: {word[1:]}, ok", fields(f"x{word[1:]}y")) == f"no: {word[1:]}, ok"


def test_a_request_is_compared_up_to_its_last_byte_and_comma_that_may_be() -> None:
    text = b'"' + b"x" * (MAX_COMPARED_BYTES - 2) + b'"'
    many = b"[" + b"0," * MAX_COMPARED_COMMAS + b"0]"
    for fits, over in ((text, text[:-1] + b'x"'), (many, b"[0," + many[1:])):
        assert without_request("bad", {"messages": Raw(fits)}) == "bad"
        assert without_request("bad", {"messages": Raw(over)}) == ""


class Searched(str):
    """A text that counts how often it was looked through."""

    __slots__ = ()
    times = 0

    def __contains__(self, other: str, /) -> bool:
        Searched.times += 1
        return super().__contains__(other)


LONG = WISH.encode() * 5


@pytest.mark.parametrize("words", [b64encode(LONG).decode()[:300], LONG.hex()[:300]])
def test_a_request_is_looked_through_a_few_times_for_each_word_of_other_letters(words: str) -> None:
    """A search goes through all of the request: one for each letter of each reading is too much."""
    Searched.times = 0
    without_coded = getattr(echo, "_without_coded")  # noqa: B009 -- its work shows nowhere else
    assert without_coded(words, Searched("z" * 1000)) == words
    assert 0 < Searched.times < len(words)


def test_of_more_words_than_are_compared_nothing_is_said() -> None:
    assert without_request("x" * MAX_COMPARED_CHARS, REQUEST) == "x" * MAX_COMPARED_CHARS
    assert without_request("x" * (MAX_COMPARED_CHARS + 1), REQUEST) == ""


def test_a_text_that_is_all_that_was_said_is_cut_out_from_three_letters_on() -> None:
    assert without_request("abc", fields("abc")) == "…"
    assert without_request("ab", fields("ab")) == "ab"


def test_where_entities_cannot_be_undone_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "html", None)  # as if no descriptor were left to import it
    assert without_request(f"cannot parse: {ECHOES['for_a_page']}", REQUEST) == ""
    assert without_request("cannot parse that", REQUEST) == "cannot parse that"
