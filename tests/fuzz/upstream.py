"""Answers of targets, made of recorded ones: each is whole or a fault, and no larger than it came.

No reader raises; what comes out is bounded by what went in; a fault leaves no `[DONE]` behind; and
our key, which a target knows, does not come out as an error.
"""

from contextlib import suppress
from random import Random

from exo_supervisor.core.keys import Keys
from exo_supervisor.wire.chat.judge import judge
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.exo.placement import at_work, read_instances, read_previews
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.outbound import read_models
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.openai.stream_writer import DONE, StreamWriter
from tests.fuzz.mutation import mutated, pieces
from tests.wire.test_recordings import ALL, generation

KEY = "house-key-0123456789-abcdefgh"
HIDE = Keys([KEY]).hide
RATIO, HEAD = 40, 4096
"""How many bytes come out for one that went in at most, beside so many of our own."""


class Upstream:
    """One try is one answer, read as a stream, as a whole, as a head, and as every list."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._names = [name for name, one in ALL.items() if one.body]
        self._bodies = tuple(ALL[name].body for name in self._names)

    def try_once(self) -> None:
        """Make an answer and read it. Raises AssertionError, or whatever a reader raised."""
        random = self._random
        name = random.choice(self._names)
        body = mutated(ALL[name].body, random, (*self._bodies, KEY.encode()))
        usage = random.random() < 0.5
        streams = StreamWriter(id="ours", created=7, include_usage=usage)
        kind = ChunkReader if random.random() < 0.8 else BodyReader
        reading = kind(
            writer=random.choice((streams, AnswerWriter(id="ours", created=7))),
            traits=TRAITS[random.choice((generation(name), None))],
            max_tokens=random.choice((None, 1, 16)),
            stop=random.choice(((), ("a",), ("\n", "the "))),
            choices=random.choice((1, 1, 2)),
            hide=HIDE,
        )
        self._read(reading, body)
        self._judge(body)
        for read in (read_models, read_previews, read_instances):
            with suppress(WireError):
                read(body)
        with suppress(WireError):
            at_work(body, None)

    def _read(self, reading: Reader, body: bytes) -> None:
        told = b""
        for piece in pieces(body, self._random):
            told += reading.feed(piece)
            if reading.fault is not None or reading.done or reading.enough:
                break
        else:
            told += reading.close()
            assert reading.fault is not None or reading.done or reading.enough, "neither nor"
        if reading.fault is None and reading.done:
            told += b"".join(reading.result())
        assert len(told) <= RATIO * len(body) + HEAD, (len(told), len(body))
        assert reading.fault is None or not told.endswith(DONE), "an end after a fault"
        assert KEY[:8] not in reading.message + (reading.served_model or "")
        assert len(reading.message) <= HEAD

    def _judge(self, body: bytes) -> None:
        status = self._random.choice((200, 301, 400, 401, 404, 413, 422, 429, 500, 503, 529))
        media = self._random.choice(("application/json", "text/event-stream", "text/html", ""))
        headers = {"retry-after": self._random.choice(("1e308", "-1", "x", "Tue, 1", "9" * 40))}
        found = judge(status, media, headers, body, exo=self._random.random() < 0.5, now_wall=0.0)
        assert found is None or (found.retry_after or 0.0) <= 3600.0
        assert found is None or len(found.message) <= HEAD
