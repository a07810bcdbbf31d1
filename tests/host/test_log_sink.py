"""A request's line says what the record says, and a line of the core what it announces."""

import io
import logging
import re
from collections.abc import Callable, Iterator

import msgspec
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from exo_supervisor.core.effects import Announce
from exo_supervisor.host import logs
from exo_supervisor.host.log_limit import MAX_PER_MINUTE
from exo_supervisor.host.log_line import request_line
from exo_supervisor.host.log_sink import LogSink
from exo_supervisor.views.request_done import RequestDone, RequestLine

HEAD = ["ts", "level", "event", "logger"]
KEYS = (
    "request_id model served_model target attempts shift status outcome code continued ttft "
    "duration prompt_tokens completion_tokens cost_microdollars client_uid client dialect "
    "malformed cached_tokens egress_bytes"
)


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    """Leave structlog and the root logger as they were found."""
    handlers = logging.getLogger().handlers.copy()
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def printed(
    tell: Callable[[LogSink], object], level: str = "info", fmt: logs.Format = "json"
) -> list[bytes]:
    out = io.BytesIO()
    sink = logs.configure(level, fmt, stream=out)
    tell(sink)
    sink.close(10.0)
    return out.getvalue().splitlines(keepends=True)


def the_long_way(record: RequestLine) -> None:
    """Log a request's line as any other is logged."""
    structlog.get_logger("serve").info("request_done", **record.facts())


def untimed(line: bytes) -> bytes:
    text, times = re.subn(rb'"ts":"[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z"', b'"ts":""', line)
    assert times == 1
    return text


def test_a_requests_line_has_all_keys_in_their_order() -> None:
    record = RequestLine("01J9", model="chat", attempts=1, status=200, outcome="success", ttft=0.25)
    (text,) = printed(lambda sink: sink.done(RequestDone(record)))
    line = msgspec.json.decode(text)
    assert list(line) == HEAD + KEYS.split()
    assert (line["level"], line["event"], line["logger"]) == ("info", "request_done", "serve")
    assert {key: line[key] for key in KEYS.split()} == record.facts()


def test_a_line_of_the_core_has_its_level_name_and_facts() -> None:
    said = Announce(level="warning", name="node_down", facts={"node": "a:1"})
    (text,) = printed(lambda sink: sink.announce(said))
    line = msgspec.json.decode(text)
    assert (line["level"], line["event"], line["logger"]) == ("warning", "node_down", "announce")
    assert line["node"] == "a:1"


def test_lines_below_the_level_are_not_written() -> None:
    assert printed(lambda sink: sink.done(RequestDone(RequestLine("r"))), level="warning") == []
    assert len(printed(lambda sink: sink.done(RequestDone(RequestLine("r"))), level="debug")) == 1


texts = (
    st.text(max_size=40)
    | st.text(st.characters(codec=None), max_size=6)
    | st.sampled_from(
        ["x" * 999, "x" * 1001, "\x7f", "\u009b", "\u202e", "\ud800", "\x1b[2J\n", '"}\\', "ü"]
    )
)
counts = st.integers(0, 10_000) | st.integers() | st.sampled_from([2**63, 2**64, -(2**64), 10**400])
times = st.floats()
records = st.builds(
    RequestLine,
    request_id=texts, model=st.none() | texts, served_model=st.none() | texts,
    target=st.none() | texts, shift=st.none() | texts, code=st.none() | texts, outcome=texts,
    ttft=st.none() | times, duration=times, prompt_tokens=st.none() | counts,
    completion_tokens=st.none() | counts, cached_tokens=st.none() | counts,
    client_uid=st.none() | st.integers(0, 2**32),
)  # fmt: skip


@given(records)
@example(RequestLine("r", model="chat", ttft=0.1, prompt_tokens=3))
def test_the_quick_line_is_the_very_same(record: RequestLine) -> None:
    quick, (long,) = request_line(record), printed(lambda _sink: the_long_way(record))
    assert quick is None or untimed(quick) == untimed(long)
    (line,) = printed(lambda sink: sink.done(RequestDone(record)))
    assert untimed(line) == untimed(long)


def test_an_ordinary_request_has_the_quick_line_and_a_strange_one_has_not() -> None:
    ordinary = RequestLine(
        "01J9ZC2Q7V3K4M5N6P7R8S9T0V", model="house-model", target="192.168.178.100:52415",
        served_model="mlx-community/Llama-3.3-70B-Instruct-4bit", attempts=2,
        shift="attempt_failed", status=200, outcome="success", ttft=0.123456, duration=12.345678,
        prompt_tokens=120_000, completion_tokens=4096, client_uid=65534,
    )  # fmt: skip
    assert request_line(ordinary) is not None
    for strange in ("\x7f", "ü", "\ud800", "x" * 1001):
        assert request_line(msgspec.structs.replace(ordinary, model=strange)) is None
    for counted in ("prompt_tokens", "completion_tokens", "cached_tokens"):
        assert request_line(msgspec.structs.replace(ordinary, **{counted: 10**30})) is None


def test_requests_without_a_token_are_limited_and_what_was_left_out_is_told() -> None:
    def knock(sink: LogSink) -> None:
        for _ in range(3 * MAX_PER_MINUTE):
            sink.done(RequestDone(RequestLine("r", code="bad_token")))
            sink.done(RequestDone(RequestLine("s", code="bad_json")))

    lines = [msgspec.json.decode(line) for line in printed(knock)]
    codes = [line.get("code") for line in lines]
    assert codes.count("bad_json") == 3 * MAX_PER_MINUTE
    assert MAX_PER_MINUTE <= codes.count("bad_token") <= 2 * MAX_PER_MINUTE  # a minute may turn


def test_lines_of_both_ways_keep_their_order() -> None:
    def tell(sink: LogSink) -> None:
        for number in range(300):
            model = "ü" if number % 3 else "u"
            sink.done(RequestDone(RequestLine("r", attempts=number, model=model)))
            sink.announce(Announce(level="info", name="said", facts={"attempts": number}))

    lines = [msgspec.json.decode(line) for line in printed(tell)]
    assert [line["attempts"] for line in lines] == [n for n in range(300) for _ in "ab"]


def test_the_console_form_has_the_same_facts() -> None:
    (line,) = printed(
        lambda sink: sink.done(RequestDone(RequestLine("r", status=200))), fmt="console"
    )
    assert re.search(rb"info     request_done request_id=r .*status=200 .*\(serve\)\n", line)
