"""A request's line says what the record says, and a line of the core what it announces."""

import io
import logging
from collections.abc import Iterator

import msgspec
import pytest
import structlog

from exo_supervisor.core.effects import Announce
from exo_supervisor.host import logs
from exo_supervisor.views.request_done import RequestDone

HEAD = ["ts", "level", "event", "logger"]
KEYS = (
    "request_id model served_model target attempts shift status outcome code continued ttft "
    "duration prompt_tokens completion_tokens cost_microdollars malformed client_uid client dialect"
)


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    """Leave structlog and the root logger as they were found."""
    handlers = logging.getLogger().handlers.copy()
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def written(
    *told: RequestDone | Announce, level: str = "info", fmt: logs.Format = "json"
) -> list[bytes]:
    out = io.BytesIO()
    sink = logs.configure(level, fmt, stream=out)
    for each in told:
        if isinstance(each, Announce):
            sink.announce(each)
        else:
            sink.done(each)
    sink.close(10.0)
    return out.getvalue().splitlines(keepends=True)


def test_a_requests_line_has_all_keys_in_their_order() -> None:
    record = RequestDone("01J9", model="chat", attempts=1, status=200, outcome="success", ttft=0.25)
    (text,) = written(record)
    line = msgspec.json.decode(text)
    assert list(line) == HEAD + KEYS.split()
    assert (line["level"], line["event"], line["logger"]) == ("info", "request_done", "serve")
    assert {key: line[key] for key in KEYS.split()} == msgspec.structs.asdict(record)


def test_a_line_of_the_core_has_its_level_name_and_facts() -> None:
    (text,) = written(Announce(level="warning", name="node_down", facts={"node": "a:1"}))
    line = msgspec.json.decode(text)
    assert (line["level"], line["event"], line["logger"]) == ("warning", "node_down", "announce")
    assert line["node"] == "a:1"


def test_lines_below_the_level_are_not_written() -> None:
    assert written(RequestDone("r"), level="warning") == []
