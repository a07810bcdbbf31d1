"""Near names are found across case, owner, variant and slips."""

import pytest

from exo_supervisor.core.near_names import LONGEST, SCAN, near

KNOWN = (
    "mlx-community/Llama-3.2-3B-Instruct-4bit",
    "mlx-community/Qwen3-0.6B-4bit",
    "mlx-community/Qwen3-30B-4bit",
    "mlx-community/Qwen3-235B-4bit",
    "mlx-community/Qwen3-480B-4bit",
    "meta-llama/llama-3.2-3b-instruct",
    "deepseek/deepseek-r1:free",
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("MLX-community/qwen3-0.6b-4BIT", [KNOWN[1]], id="case"),
        pytest.param("Qwen3-0.6B-4bit", [KNOWN[1]], id="without its owner"),
        pytest.param("other/qwen3-0.6b-4bit", [KNOWN[1]], id="another owner"),
        pytest.param("qwen3", list(KNOWN[1:4]), id="how it begins, three at most"),
        pytest.param("deepseek/deepseek-r1", [KNOWN[6]], id="without its variant"),
        pytest.param("deepsek-r1", [KNOWN[6]], id="a slip"),
        pytest.param("zzzzzzzzzz", [], id="nothing near"),
        pytest.param("x" * (LONGEST + 1), [], id="too long to compare"),
    ],
)
def test_near(name: str, found: list[str]) -> None:
    assert [each for each in near(name, KNOWN) if each in found] == found
    assert len(near(name, KNOWN)) <= 3
    if len(found) == 1:
        assert near(name, KNOWN)[0] == found[0]


def test_a_short_name_is_no_beginning() -> None:
    assert near("qwe", ["qwenqwenqwenqwenqwen", "zzz"]) == ["qwenqwenqwenqwenqwen"]
    assert near("m", ["mistral", "mixtral"]) == []


def test_the_search_has_a_bound() -> None:
    many = [f"0{number}" for number in range(SCAN)]
    assert near("zebra", [*many, "zebra-1"]) == []
    long = "zebra-" + "z" * LONGEST
    assert near("zebra", [long[:LONGEST]]) == [long[:LONGEST]]
    assert near("zebra", [long, "zebra-1"]) == ["zebra-1"]


def test_what_is_the_same_but_for_case_comes_alone() -> None:
    assert near("LLAMA", ["Llama", "llama", "llama-2"]) == ["Llama"]
