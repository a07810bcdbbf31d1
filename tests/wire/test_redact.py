"""No key is left of what an inspection shows, however it came."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.keys import Keys
from exo_supervisor.wire.redact import SECRET, redact, redact_headers, without_named

OWN, FOREIGN = "house-key-0123456789", "sk-proj-AbCdEfGh0123456789"
hide = Keys([OWN]).hide


@pytest.mark.parametrize("key", [OWN, FOREIGN, "gsk_0123456789abcdef", "Bearer abcdef0123456789"])
@pytest.mark.parametrize("around", ["%s", "my key is %s, use it", '{"a":"%s"}', '{"%s":1}'])
def test_a_key_anywhere_in_a_body_is_hidden(key: str, around: str) -> None:
    shown = redact(around % key, hide)
    assert key not in shown
    assert SECRET in shown


@pytest.mark.parametrize("window", [1, 7, 16_384])
@pytest.mark.parametrize(
    ("said", "shown"),
    [('{"authorization_token": "a b","x":1}', '{"authorization_token": "%s","x":1}'),
     (r'"with":"{\"api_key\":\"abc\",\"q\":1}"', r'"with":"{\"api_key\":\"%s\",\"q\":1}"'),
     (r'{"password":"a\"b","c":"d"}', '{"password":"%s","c":"d"}'),
     ('{"authorization":"Basic abc="}', '{"authorization":"%s"}'),
     ('{"accessToken":"abc"}', '{"accessToken":"%s"}'),
     ("curl -H x-api-key: abc next", "curl -H x-api-key: %s next"),
     ("https://me:abc@host/p?key=abc&b=c", "https://%s@host/p?key=%s&b=c"),
     ("?access_token=abc&x", "?access_token=%s&x"),
     ('"secret":"' + "long" * 1000 + '"', '"secret":"%s"')],
)  # fmt: skip
def test_a_key_without_a_shape_is_known_by_its_name(said: str, shown: str, window: int) -> None:
    assert without_named(said, window) == shown.replace("%s", SECRET)
    assert redact(said, str) == redact_headers([("x", said)], str)["x"]


def test_a_body_without_a_key_is_shown_as_it_came() -> None:
    for body in (
        '{"token":"Hi","max_tokens":5,"api_key":null,"password":{"type":"string"}}',
        '{"required":["api_key","b"]} the author: me, a secretary: you, http://a:80/x',
        '{"messages":[{"content":"Hi \\u00e9 \\\\u0041"}]}',
        'data: {"a":"b"}\n\n',
        "x",
        "",
    ):
        assert redact(body, hide) == body


@pytest.mark.parametrize(
    "escaped",
    [
        "".join(f"\\u{ord(each):04x}" for each in FOREIGN),
        "".join(f"\\u{ord(each):04X}" for each in OWN),
        FOREIGN[:9] + "\\u0041" + FOREIGN[9:],
        "sk-abcdefgh\\/ijklmnop",
    ],
)
def test_a_key_behind_escapes_is_hidden(escaped: str) -> None:
    body = f'{{"content":"it is {escaped}"}}'
    shown = redact(body, hide)
    assert json.loads(shown)["content"] == f"it is {SECRET}"


def test_what_only_looks_like_an_escape_is_none() -> None:
    body = json.dumps({"content": 'a\\u0041, a "quoted" \\ and a \x1f'})
    assert json.loads(redact(body, hide)) == json.loads(body)


@given(st.text(), st.text())
def test_what_is_spelled_out_means_the_same(before: str, after: str) -> None:
    body = json.dumps([before, after])
    assert json.loads(redact(body, str)) == json.loads(body)


def chunks(*parts: str, path: str = "content") -> str:
    events = ({"choices": [{"delta": {path: part}}]} for part in parts)
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


@pytest.mark.parametrize("key", [OWN, FOREIGN])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_key_that_comes_in_pieces_is_hidden(key: str, size: int) -> None:
    said = f"it is {key}, really"
    stream = chunks(*(said[at : at + size] for at in range(0, len(said), size)))
    shown = redact(stream, hide)
    (joined,) = json.loads(shown).values()
    assert joined == {".choices.0.delta.content": f"it is {SECRET}, really"}


def test_pieces_of_different_members_make_no_key() -> None:
    stream = chunks("sk-") + chunks("AbCdEfGh0123456789", path="reasoning")
    assert redact(stream, hide) == stream


def test_lines_that_are_no_json_are_shown() -> None:
    stream = ': keep-alive\n\ndata: {"a"\n\ndata: {"a":1}\n\nevent: x\n[' + "[" * 2000 + "\n"
    assert redact(stream, hide) == stream


def test_what_is_nested_deeply_costs_no_crash() -> None:
    deep = "[" * 200 + '"x"' + "]" * 200
    assert redact(f"{deep}\n{deep}", hide) == f"{deep}\n{deep}"


def test_pieces_are_joined_no_deeper_than_an_answer_nests_its_words() -> None:
    """What it takes to come there grows by the square of the depth."""
    for depth, joins in ((20, True), (200, False)):
        said = [f'{"[" * depth}"{part}"{"]" * depth}' for part in (FOREIGN[:9], FOREIGN[9:])]
        body = "\n".join(said)
        shown = redact(body, hide)
        assert (SECRET in shown, shown == body) == (joins, not joins)


@pytest.mark.parametrize("blank", [" ", '"', "\n", "x"])
@pytest.mark.parametrize("key", [OWN, FOREIGN, f"Bearer {OWN}", f"bearer \t {FOREIGN[3:]}"])
def test_a_key_across_a_window_s_end_is_hidden(key: str, blank: str) -> None:
    for shift in range(70):
        text = "w" * shift + f"{blank} {key}{blank}" + "w" * 90
        assert key.rsplit(maxsplit=1)[-1] not in redact(text, hide, window=64)


def test_secret_headers_are_shown_by_their_names_alone() -> None:
    names = ("Authorization", "x-api-key", "X-Goog-Api-Key", "Cookie", "x-my-token", "X-Secret")
    headers = [*((name, "opaque") for name in names), ("User-Agent", f"x {FOREIGN}")]
    shown = redact_headers([*headers, ("content-type", "a/b")], hide)
    assert shown == {
        **{name.lower(): SECRET for name in names},
        "user-agent": f"x {SECRET}",
        "content-type": "a/b",
    }
