"""What is no JSON, or no content, reaches no client, however it came and is asked for."""

import msgspec
import pytest

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.openai.stream_writer import DONE
from tests.wire.reading import body_gathered, body_streamed, gathered, read_body, streamed


def event(choices: bytes) -> bytes:
    return b"data: %b\n\n" % choices


def told(reader: Reader, stream: bytes) -> list[bytes]:
    """Return the objects that a client gets, each as JSON."""
    written = reader.feed(stream) + reader.close()
    lines = [line.removeprefix(b"data: ") for line in written.split(b"\n\n")]
    return [line for line in lines if line not in (b"", b"[DONE]")] or [b"".join(reader.result())]


PLACES = {
    "beside": b'{"choices":[{"KEY":{"content":"a"},"finish_reason":"stop"}],"x":ODD}',
    "within": b'{"choices":[{"KEY":{"content":"a","x":ODD},"finish_reason":"stop"}]}',
    "content": b'{"choices":[{"KEY":{"content":[{"x":ODD}]},"finish_reason":"stop"}]}',
    "logprobs": b'{"choices":[{"KEY":{"content":"a"},"logprobs":{"content":[{"x":ODD}]},'
                b'"finish_reason":"stop"}]}',
    "call": b'{"choices":[{"KEY":{"tool_calls":[{"index":0,"id":"c","x":ODD,"function":'
            b'{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}',
    "usage": b'{"choices":[{"KEY":{"content":"a"},"finish_reason":"stop"}],"usage":'
             b'{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"x":ODD}}',
}  # fmt: skip


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", '[1,{"x":NaN}]', '"\t\x01"'])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_what_is_no_json_reaches_no_client(place: bytes, odd: str) -> None:
    upstream = place.replace(b"ODD", odd.encode())
    chunk = event(upstream.replace(b"KEY", b"delta")) + DONE
    whole = upstream.replace(b"KEY", b"message")
    for reader, body in (
        (streamed(usage=True), chunk),
        (gathered(), chunk),
        (body_streamed(usage=True), whole),
        (body_gathered(), whole),
    ):
        for one in told(reader, body):
            msgspec.json.decode(one)  # which takes nothing that JSON does not know
        assert reader.fault is None


@pytest.mark.parametrize("content", [b"5", b"0", b"{}", b'{"x":1}', b"true"])
@pytest.mark.parametrize("finish", [b"stop", b"length", b"tool_calls"])
def test_content_that_is_neither_text_nor_a_list_is_malformed(
    content: bytes, finish: bytes
) -> None:
    said = b'{"content":%b},"finish_reason":"%b"}' % (content, finish)
    one = b'{"choices":[{"delta":%b]}' % said
    among = b'{"choices":[{"index":1,"delta":{"content":"a"}},{"delta":%b]}' % said
    for body in (one, among):
        for reader in (streamed(), gathered()):
            assert reader.feed(event(body) + DONE) == b""
            assert reader.fault is Fault.MALFORMED
    for whole in (body_streamed(), body_gathered()):
        assert read_body(one.replace(b"delta", b"message"), whole) == b""
        assert whole.fault is Fault.MALFORMED
