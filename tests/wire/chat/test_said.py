"""Words in a delta, in whatever shape an upstream puts them there."""

import pytest

from exo_supervisor.wire.chat.piece import Delta
from exo_supervisor.wire.chat.said import said_in


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        (Delta(), []),
        (Delta(content="", refusal=""), []),
        (Delta(content="a", reasoning="hm"), [("thought", "hm"), ("text", "a")]),
        (Delta(reasoning_content="h", reasoning="h"), [("thought", "h")]),
        (Delta(refusal="no"), [("refusal", "no")]),
        (
            Delta(
                content=[
                    {"type": "thinking", "thinking": [{"text": "hm"}]},
                    {"type": "text", "text": "a"},
                    7,
                ]
            ),
            [("thought", "hm"), ("text", "a")],
        ),
    ],
)
def test_words_are_found(delta: Delta, said: list[tuple[str, str]]) -> None:
    assert said_in(delta) == said
