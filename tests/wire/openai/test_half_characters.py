"""Half an emoji, escaped as a lone surrogate, costs its own event and crashes no reader."""

from itertools import product

import pytest

from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.reader import ChunkReader

BESIDE = (
    b"",
    rb'"id":"a\ud800",',
    rb'"model":"m\ud800",',
    rb'"usage":{"prompt_tokens":"\ud800","completion_tokens":1},',
    rb'"error":{"message":"\ud800","code":"\ud800","type":"\ud800"},',
)
WITHIN = (
    rb'"finish_reason":"stop\ud800"',
    rb'"finish_reason":null,"index":"\ud800"',
    rb'"native_finish_reason":"a\ud800"',
    rb'"logprobs":"a\ud800"',
    rb'"delta":{"role":"a\ud800","tool_calls":[{"id":"\ud800","function":{"name":"\ud800"}}]}',
)


@pytest.mark.parametrize("kind", [BodyReader, ChunkReader])
@pytest.mark.parametrize(("beside", "within"), list(product(BESIDE, WITHIN)))
def test_half_a_character_anywhere_ends_in_an_answer_or_a_fault(
    kind: type[BodyReader | ChunkReader], beside: bytes, within: bytes
) -> None:
    reader: Reader = kind(
        writer=AnswerWriter(id="ours", created=7),
        traits=TRAITS[None],
        max_tokens=None,
        stop=(),
        choices=1,
        hide=str,
    )
    event = b"{%b" % beside + b'"choices":[{"message":{"content":"a"},%b}]}' % within
    reader.feed(b"data: %b\n\n" % event if kind is ChunkReader else event)
    reader.close()
    assert reader.done or reader.fault is not None
