"""What a model can is read of every kind of list, and nothing odd gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.capabilities import MAX_CAPABILITIES, capabilities_of, capability_words


@pytest.mark.parametrize(
    ("card", "told"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param(
            {"capabilities": ["text", "thinking", "thinking_toggle"]},
            ("text", "thinking", "thinking_toggle"),
            id="exo",
        ),
        pytest.param({"capabilities": ["completion"]}, ("completion",), id="llama.cpp"),
        pytest.param(
            {
                "supported_parameters": ["temperature", "tools", "reasoning", "stop"],
                "architecture": {"input_modalities": ["text", "image"]},
            },
            ("tools", "thinking", "vision"),
            id="openrouter",
        ),
        pytest.param(
            {
                "capabilities": {
                    "image_input": {"supported": True},
                    "batch": {"supported": False},
                    "thinking": {"supported": True, "types": {"enabled": {"supported": True}}},
                }
            },
            ("vision", "thinking"),
            id="anthropic",
        ),
        pytest.param(
            {"capabilities": {"completion_chat": True, "function_calling": True, "vision": False}},
            ("completion", "tools"),
            id="mistral",
        ),
        pytest.param({"capabilities": ["vision", "vision", "image"]}, ("vision",), id="twice"),
        pytest.param(
            {"capabilities": ["A", "a b", "x" * 41, "\x1b[0m", 5, None, ""]}, (), id="odd words"
        ),
        pytest.param({"capabilities": "all", "architecture": 5}, (), id="odd types"),
    ],
)
def test_each_lists_own_way_is_read(card: dict[str, object], told: tuple[str, ...]) -> None:
    assert capabilities_of(card) == told


def test_they_have_a_bound() -> None:
    assert len(capability_words([f"w{n}" for n in range(1000)])) == MAX_CAPABILITIES


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("capabilities", "supported_parameters", "architecture"), anything),
    )
)
def test_nothing_that_a_list_holds_breaks_it(card: dict[str, object]) -> None:
    assert all(word.isascii() and word.isprintable() for word in capabilities_of(card))
