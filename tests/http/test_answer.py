"""An answer is read in small parts, and nothing comes from the network while many wait."""

from exo_supervisor.http.answer import HIGH, MAX_READ, Answer
from exo_supervisor.http.call import Call
from exo_supervisor.http.url import Origin
from tests.http.wire import Wired

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
LARGE = bytes(range(256)) * 1024
"""What a loop brings at once, at most: 256 KiB."""


def asked(wired: Wired) -> Answer:
    answer = Answer()
    key = (Origin("http", "n", 1), None)
    answer.call = Call(answer, key, b"GET / HTTP/1.1\r\n\r\n", b"", None, lambda _: None)
    answer.call.send(wired.connection)
    return answer


async def test_what_comes_at_once_is_read_in_parts() -> None:
    """Each step on the way to a client who takes nothing holds a copy of what it was given last."""
    with Wired() as wired:
        answer = asked(wired)
        wired.connection.data_received(HEAD % (len(LARGE) + 5) + LARGE)
        parts = [await answer.read() for _ in range(len(LARGE) // MAX_READ)]
        assert b"".join(parts) == LARGE
        assert {len(part) for part in parts} == {MAX_READ}
        wired.connection.data_received(b"a")
        wired.connection.data_received(b"bcde")
        assert await answer.read() == b"abcde", "small ones are one part"
        assert await answer.read() == b""


async def test_the_network_is_read_again_when_little_waits() -> None:
    with Wired() as wired:
        answer = asked(wired)
        wired.connection.data_received(HEAD % (2 * len(LARGE)) + LARGE)
        assert wired.transport.done == ["pause"]
        left = len(LARGE)
        while left > HIGH:
            assert wired.transport.done == ["pause"], left
            left -= len(await answer.read())
        assert wired.transport.done == ["pause", "resume"]
        await answer.read()
        assert wired.transport.done == ["pause", "resume"]
