"""A trace is read by W3C's rules, and what is malformed is as if it were not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.trace import MAX_MEMBERS, MAX_STATE, read_trace

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{ID}-{SPAN}-01"


def test_a_trace_is_read() -> None:
    trace = read_trace({"traceparent": f" {PARENT}\t", "tracestate": "congo=t61 , rojo=00f06"})
    assert trace is not None
    assert (trace.parent, trace.state) == (PARENT, "congo=t61,rojo=00f06")
    assert (trace.trace_id, trace.span_id, trace.flags) == (int(ID, 16), int(SPAN, 16), 1)


@pytest.mark.parametrize("parent", [f"01-{ID}-{SPAN}-00", f"cc-{ID}-{SPAN}-01-what-comes"])
def test_a_later_version_is_read_as_far_as_it_is_known(parent: str) -> None:
    trace = read_trace({"traceparent": parent})
    assert trace is not None
    assert (trace.parent, trace.trace_id) == (parent, int(ID, 16))


@pytest.mark.parametrize(
    "parent",
    [
        "", "x", f"ff-{ID}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{ID}-{'0' * 16}-01",
        f"00-{ID.upper()}-{SPAN}-01", f"00-{ID[1:]}-{SPAN}-01", f"00-{ID}-{SPAN}0-01",
        f"00-{ID}-{SPAN}-1", f"00-{ID}-{SPAN}", f"{PARENT}-more", f"{PARENT}x",
        f"01-{ID}-{SPAN}-01.x", f"01-{ID}-{SPAN}-01-\n", f"01-{ID}-{SPAN}-01-" + "x" * 300,
        f"{PARENT}, {PARENT}",
    ],
)  # fmt: skip
def test_a_malformed_one_is_dropped(parent: str) -> None:
    assert read_trace({"traceparent": parent, "tracestate": "a=1"}) is None


def test_one_that_came_twice_is_dropped_and_without_one_there_is_none() -> None:
    assert read_trace({"traceparent": PARENT}, ("traceparent",)) is None
    assert read_trace({"tracestate": "a=1"}) is None


LONGEST = f"a={'x' * 200},b={'x' * 200},c=".ljust(MAX_STATE, "x")


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1", "a=1"),
        ("tenant@vendor=x,b=a b!~", "tenant@vendor=x,b=a b!~"),
        ("a=1,,b=2", "a=1,b=2"),
        ("0a@v=1", "0a@v=1"),
        (",".join(f"k{n}=1" for n in range(MAX_MEMBERS)),) * 2,
        (",".join(f"k{n}=1" for n in range(MAX_MEMBERS + 1)), ""),
        ("a=" + "x" * (MAX_STATE - 2), ""),
        (LONGEST, LONGEST),
        (LONGEST + "x", ""),
        ("a=" + "x" * MAX_STATE, ""),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a", ""),
        ("a=", ""),
        ("a=x=y", ""),
        ("a=\n", ""),
        ("a=é", ""),
    ],
)
def test_a_state_is_kept_whole_or_not_at_all(state: str, kept: str) -> None:
    trace = read_trace({"traceparent": PARENT, "tracestate": state})
    assert trace is not None
    assert trace.state == kept


def test_the_state_stays_at_home() -> None:
    trace = read_trace({"traceparent": PARENT, "tracestate": "a=1"})
    assert trace is not None
    assert trace.headers(house=True) == {"traceparent": PARENT, "tracestate": "a=1"}
    assert trace.headers(house=False) == {"traceparent": PARENT}
    bare = read_trace({"traceparent": PARENT})
    assert bare is not None
    assert bare.headers(house=True) == {"traceparent": PARENT}


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_that_comes_is_an_error_or_two_lines(parent: str, state: str) -> None:
    for each in (parent, PARENT, f"01-{ID}-{SPAN}-01-{parent}"):
        trace = read_trace({"traceparent": each, "tracestate": state})
        if trace is not None:
            for value in trace.headers(house=True).values():
                assert value.isascii()
                assert value.isprintable()
