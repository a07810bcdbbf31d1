"""Ending a text of generation A as the client asked."""

from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.chat.stop_filter import StopFilter
from tests.budget import budget


def run(cut: StopFilter, pieces: list[str], finish: str) -> tuple[str, str | None]:
    text = ""
    for place, piece in enumerate(pieces):
        shown, reason = cut.push(piece, finish if place == len(pieces) - 1 else None)
        text += shown
        if reason:
            return text, reason
    return text, None


def test_end_marks_are_stripped_from_the_last_piece_only() -> None:
    assert run(StopFilter(None, ()), ["a<|eot_id|>", "b<|eot_id|>"], "stop") == (
        "a<|eot_id|>b",
        "stop",
    )
    assert run(StopFilter(None, ()), ["a", "</s>"], "stop") == ("a", "stop")


def test_a_length_counts_pieces_and_ends_the_answer() -> None:
    cut = StopFilter(2, ())
    assert cut.push("a", None) == ("a", None)
    assert not cut.enough
    assert cut.push("b", None) == ("b", "length")
    assert cut.enough


def test_the_engines_own_end_at_the_limit_stays_its_end() -> None:
    assert run(StopFilter(2, ()), ["a", "b"], "stop") == ("ab", "stop")


def test_what_may_begin_a_stop_waits_and_is_not_lost() -> None:
    cut = StopFilter(None, ("END",))
    assert cut.push("xE", None) == ("x", None)
    assert cut.push("N", None) == ("", None)
    assert cut.push("o", None) == ("ENo", None)
    assert cut.push("EN", "length") == ("EN", "length")


def test_of_a_begin_that_came_to_nothing_what_may_begin_it_anew_waits() -> None:
    cut = StopFilter(None, ("abacd",))
    assert cut.push("abab", None) == ("ab", None)
    assert cut.push("acd", None) == ("", "stop")


@budget(2.0)
def test_many_stops_over_a_text_that_almost_holds_them_are_quick(within: float) -> None:
    stop = "a" * 4_030 + "b"
    cut = StopFilter(None, (stop, *("c" * 1 for _ in range(63))))
    began = process_time()
    for _ in range(100):
        cut.push("a" * 50, None)
    assert process_time() - began < within
    assert cut.push("b", None)[1] == "stop"


@given(
    pieces=st.lists(st.text("ab", max_size=3), min_size=1, max_size=12),
    stops=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
)
def test_the_text_ends_before_the_earliest_stop(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    places = [whole.find(stop) for stop in stops if stop in whole]
    text, reason = run(StopFilter(None, tuple(stops)), pieces, "length")
    if not places:
        assert (text, reason) == (whole, "length")
        return
    assert reason == "stop"
    # a stop that is complete earlier ends the text, even where a longer one began before it
    assert whole.startswith(text)
    assert any(whole.startswith(stop, len(text)) for stop in stops)
    assert not any(stop in text for stop in stops)


@given(
    pieces=st.lists(st.text("ab", max_size=4), max_size=12),
    stops=st.lists(st.text("ab", min_size=1, max_size=7), max_size=4),
)
def test_nothing_waits_longer_than_it_may_begin_a_stop(pieces: list[str], stops: list[str]) -> None:
    cut, read, shown = StopFilter(None, tuple(stops)), "", ""
    for piece in pieces:
        text, reason = cut.push(piece, None)
        if reason:
            return
        read, shown = read + piece, shown + text
        held = [n for stop in stops for n in range(len(stop)) if read.endswith(stop[:n])]
        assert len(read) - len(shown) == max(held, default=0)
