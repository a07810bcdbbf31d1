"""The fields of an answer's head, as a parser would list them."""

import httptools
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.http.headers import Headers

TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=4)
VALUES = st.text("aB9 :\t-,é\xff\x85", max_size=6)


class _Parsed:
    def __init__(self, head: bytes) -> None:
        self.fields: dict[str, str] = {}
        httptools.HttpResponseParser(self).feed_data(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.decode().lower()] = value.decode("latin-1").strip(" \t")


@given(st.lists(st.tuples(TOKENS, VALUES), max_size=6))
def test_fields_are_what_a_parser_makes_of_a_head(fields: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = f"HTTP/1.1 200 A: b\r\n{lines}".encode("latin-1")
    parsed = _Parsed(head + b"\r\n").fields
    headers = Headers(head.removesuffix(b"\r\n"))
    assert headers == parsed
    assert len(headers) == len(parsed)
    for name in {*parsed, "", "a", "b", "http/1.1 200 a"}:
        assert (name in headers) == (name in parsed)
        assert headers.get(name) == parsed.get(name)
        assert headers.get(name, "-") == parsed.get(name, "-")
        assert headers.mentions(name) or name not in parsed
    assert not headers.mentions("x-not-there")
