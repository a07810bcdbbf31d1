"""What an Ollama serves itself is told from what it hands on to its cloud."""

import pytest

from exo_supervisor.wire.ollama.housed import read_housed


@pytest.mark.parametrize(
    ("body", "housed"),
    [
        (b'{"models":[{"name":"a:latest","model":"a:latest"}]}', {"a:latest"}),
        (b'{"models":[{"name":"a","model":"b"},{}]}', {"a", "b"}),
        (b'{"models":[{"name":"a","remote_host":"https://ollama.com"}]}', set[str]()),
        (b'{"models":[{"name":"a","remote_model":"gpt-oss:120b"}]}', set[str]()),
        (b'{"models":[]}', set[str]()),
        (b'{"error":"Unexpected endpoint or method."}', None),
        (b"<html>", set[str]()),
        (b"", set[str]()),
        (b'{"models":[{"name":1}]}', set[str]()),
        (b"[" * 100_000, set[str]()),
    ],
)
def test_what_it_serves_itself(body: bytes, housed: set[str] | None) -> None:
    assert read_housed(body) == housed
