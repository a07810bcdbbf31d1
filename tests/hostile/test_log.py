"""Whatever strangers do, the log grows by so much a minute; what was left out is counted."""

import io
import json

import structlog

from exo_supervisor.host import logs
from exo_supervisor.host.log_limit import MAX_EVENTS, MAX_PER_MINUTE, LogLimit


def test_an_event_has_so_many_lines_a_minute_and_the_rest_is_counted() -> None:
    now = [0.0]
    limit = LogLimit(lambda: now[0])
    assert limit.left_out() == {}
    said = [limit.allows("model_ready") for _ in range(12_000)]
    assert said.count(True) == MAX_PER_MINUTE
    assert limit.allows("model_lost"), "another event has its own"
    assert limit.left_out() == {}
    now[0] = 60.0
    assert limit.left_out() == {"model_ready": 12_000 - MAX_PER_MINUTE}
    assert limit.allows("model_ready")


def test_what_was_left_out_is_told_when_the_minute_of_its_first_line_is_over() -> None:
    now = [70.0]
    limit = LogLimit(lambda: now[0], most=1)
    for at in (70.0, 90.0, 125.0):  # nobody asks at the turn of the minute
        now[0] = at
        limit.allows("stranger_seen")
    now[0] = 119.0
    assert limit.left_out() == {}
    now[0] = 120.0
    assert limit.left_out() == {"stranger_seen": 2}


def test_each_request_has_its_line_but_for_those_that_show_no_token() -> None:
    limit = LogLimit(lambda: 0.0)
    assert all(limit.allows("request_done", code) for code in [None, "bad_json"] * 2_000)
    assert [limit.allows("request_done", "bad_token") for _ in range(3_055)].count(True) == (
        MAX_PER_MINUTE
    )


def test_names_of_events_that_nobody_has_seen_share_one_count() -> None:
    limit = LogLimit(lambda: 0.0)
    said = [limit.allows(f"event_{n}") for n in range(MAX_EVENTS + 2 * MAX_PER_MINUTE)]
    assert said.count(True) == MAX_EVENTS + MAX_PER_MINUTE


def test_the_log_itself_leaves_out_what_is_too_much() -> None:
    stream = io.BytesIO()
    writer = logs.configure("info", "json", stream=stream)
    log = structlog.get_logger("x")
    for _ in range(3 * MAX_PER_MINUTE):
        log.info("stranger_seen")
    writer.close(5.0)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    seen = [line for line in lines if line["event"] == "stranger_seen"]
    assert MAX_PER_MINUTE <= len(seen) <= 2 * MAX_PER_MINUTE  # the minute may turn meanwhile


def test_what_was_left_out_is_told_in_one_line_before_the_next() -> None:
    now, told = [0.0], list[dict[str, object]]()
    limiter = logs.Limiter(LogLimit(lambda: now[0], most=1), told.append)
    log = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[limiter])
    for _ in range(5):
        log.info("stranger_seen")
    now[0] = 61.0
    log.info("stranger_seen")
    assert [(line["event"], line["lines"], line["events"]) for line in told] == [
        ("log_lines_left_out", 4, {"stranger_seen": 4})
    ]
