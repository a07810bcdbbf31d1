"""The pieces of calls come together by what they say of themselves, whoever left something out."""

import json

from msgspec import Raw

from exo_supervisor.wire.openai.calls import Calls
from exo_supervisor.wire.openai.merged import write

Told = dict[str, object]


def joined(*pieces: Told) -> list[dict[str, object]]:
    calls = Calls()
    for piece in pieces:
        calls.take({name: Raw(json.dumps(value).encode()) for name, value in piece.items()})
    parts: list[bytes] = []
    write(calls.whole(), parts)
    told: list[dict[str, object]] = json.loads(b"".join(parts))
    return told


def piece(arguments: str = "", *, name: str = "", **more: object) -> Told:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"function": function, **more}


def call(name: str, arguments: str, key: str) -> Told:
    function = {"name": name, "arguments": arguments}
    return {"id": key, "type": "function", "function": function}


def test_an_id_that_comes_late_is_the_calls_and_finds_it_again() -> None:
    pieces = (
        piece("{", name="f", index=0),
        piece('"a"', index=0, id="c1"),
        piece(":1}", id="c1"),
    )
    assert joined(*pieces) == [call("f", '{"a":1}', "c1")]
