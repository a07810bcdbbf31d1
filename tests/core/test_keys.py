"""No key that we hold, and nothing that looks like one, stays in a text."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.keys import HIDDEN, Keys, hide_shapes, is_key

OURS = "house-key-0123456789-abcdefgh"
KEYS = Keys([OURS, "short"])


@pytest.mark.parametrize(
    "key",
    ["sk-proj-abcdef0123456789", "gsk_abcdef0123456789", "hf_abcdefghijklmnop",
     "AIzaSyA0123456789abcdef", "Bearer abcdef0123456789", "bearer: abcdef0123456789",
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"],
)  # fmt: skip
def test_what_looks_like_a_key_is_taken_out(key: str) -> None:
    hidden = hide_shapes(f"invalid key ({key}) for this model")
    assert hidden.startswith(f"invalid key ({HIDDEN}")
    assert hidden.endswith(" for this model")


@pytest.mark.parametrize(
    "text",
    ["ask-for-something-longer", "task_identifier_is_wrong", "send it as a bearer token",
     "model llama-3.2-3b-instruct is not known", "Bearer authentication is needed", "short"],
)  # fmt: skip
def test_plain_words_stay(text: str) -> None:
    assert KEYS.hide(text) == text


@given(st.text(), st.text(), st.integers(8, len(OURS)))
def test_of_our_own_not_even_a_beginning_stays(before: str, after: str, cut: int) -> None:
    hidden = KEYS.hide(f"{before}{OURS[:cut]}{after}")
    assert OURS[:8] not in hidden


def test_a_key_that_repeats_its_own_begin_is_taken_out_whole() -> None:
    key = "01234567" * 2 + "tail"
    assert Keys([key]).hide(f"{key}, {key[:16]}!") == f"{HIDDEN}, {HIDDEN}!"


@pytest.mark.parametrize("dots", ["", "."])
@pytest.mark.parametrize("length", [8, 255, 256, 600])
def test_a_jwt_is_known_by_its_dot_or_by_its_length(length: int, dots: str) -> None:
    text = f"eyJ{'a' * length}{dots}{'b' * 8}"
    taken_out = dots or length + 8 >= 256 + 8
    assert hide_shapes(text) == (HIDDEN if taken_out else text)


@pytest.mark.alone  # it compares what two readings took of a processor
@pytest.mark.parametrize("piece", ["eyJ-", "eyJaaaaaaaa-", "eyJaaaaaaaa_eyJ ", "sk-or-v1 "])
def test_whoever_repeats_the_begin_of_a_key_costs_no_more_for_it(piece: str) -> None:
    keys = Keys(["sk-or-v1-0123456789"])

    def cost(times: int) -> float:
        began = process_time()
        keys.hide(piece * times)
        return process_time() - began

    assert min(cost(4_000) for _ in range(3)) < 32 * max(min(cost(500) for _ in range(3)), 1e-4)


@given(
    st.lists(
        st.sampled_from([
            "sk-", "PK_", "rk-", "gsk_", "hf_", "AIza", "r8_", "xai-", "pplx-", "nvapi-", "ghp_",
            "gho_", "github_pat_", "glpat-", "exs_", "xoxb-", "AKIA", "fw_", "tgp_v1_", "csk-",
            "co_", "eyJ", "ya29.", "-", "_", ".", "a", "Z9", "abcdefgh", "0123456789", "bearer",
            "é",
        ]),
        max_size=8,
    ).map("".join)
)  # fmt: skip
def test_a_name_is_looked_through_as_any_text_is(text: str) -> None:
    assert hide_shapes(text) == hide_shapes(f" {text}")[1:]


def test_each_time_that_a_key_stands_there() -> None:
    assert KEYS.hide(f"{OURS}, {OURS}!") == f"{HIDDEN}, {HIDDEN}!"


@pytest.mark.parametrize(
    ("name", "key"),
    [("f1e2d3c0" * 4, True), ("letters_and_1_underscore" * 2, False),
     ("gsk_abcDEF0123456789", True), ("hf_abcdefghijklmnop", True), ("AIzaSyA0123456789abcd", True),
     ("sk_live_abcdef0123456789", True), ("aB3" * 8, True), ("B3" + "aB3" * 7, False),
     ("OPENROUTER_API_KEY", False),
     ("HF_TOKEN_OF_THE_HOUSE", False), ("my_key", False), ("GSK_KEY_OF_MINE_FOR_GROQ", False),
     ("XAI_API_KEY", False), ("openrouter_key_2", False)],
)  # fmt: skip
def test_a_key_is_told_from_a_variables_name(name: str, key: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_key(name) == key
