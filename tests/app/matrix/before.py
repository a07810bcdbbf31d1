"""Faults before the first content: they cost the client nothing."""

from typing import Final

from exo_supervisor.demo import Disease
from exo_supervisor.demo.diseases import BREACHES
from tests.app.matrix.cells import Row, Told, busy, rejected, rescued

NO_NAME: Final[dict[str, Told | None]] = dict.fromkeys("ABC")
"""A node is asked at an address, and without TLS."""
NO_OPTIONS: Final[dict[str, Told | None]] = {"anthropic": None}
"""All of Messages can be streamed, and is without options."""
NO_GRAMMAR: Final[dict[str, Told | None]] = dict.fromkeys(("A", "B", "C", "cloud"))
"""Chunks may come in any order; of what speaks Messages, a row says itself what it comes to."""
EMPTY: Final = rescued("empty", "model")
SILENT: Final = rescued("first_content_timeout", "model")
MALFORMED: Final = rescued("malformed", "model")
PAYLOAD: Final = rescued("payload", "target")
BAD_STATUS: Final = rescued("bad_status", "target")
CONTENT_TYPE: Final = rescued("content_type", "target")
SERVER_ERROR: Final = rescued("server_error", "model", 3)
RESET: Final = rescued("reset", "target")
RESET_EARLY: Final = rescued("reset_early", "target", 3)
NOT_THERE: Final = rescued(None, "none")
ASKED_ANEW: Final = Told("whole", attempts=2)
"""It is asked again at once, without what it had refused of ours."""


def _cloud(name: str, status: int, words: str) -> Row:
    """Say that a provider which refuses in these words leaves the request to another."""
    ill = Disease("status", status=status, words=words)
    return Row(f"{status}_{name}", ill, NOT_THERE, but=NO_NAME)


def _status(status: int, told: Told, cloud: Told | None = None) -> Row:
    but = {} if cloud is None else {"cloud": cloud}
    return Row(f"status_{status}", Disease("status", status=status), told, but=but)


CONNECTING: Final = (
    Row("refused", Disease("dead"), rescued("connect", "target")),
    Row("unreachable", Disease("unreachable"), rescued("connect_timeout", "target"), kind="walled"),
    Row("no_route", Disease(), rescued("connect", "target"), but=NO_NAME, wire="no_route"),
    Row("no_such_name", Disease(), rescued("connect", "target"), but=NO_NAME, wire="dns"),
    Row("tls", Disease(), rescued("tls", "target"), but=NO_NAME, wire="tls"),
    Row("reset_early", Disease("reset_early"), RESET_EARLY),
)
WORDS: Final = (
    _cloud("smaller", 402, "This request requires more credits: you can only afford 12 tokens."),
    _cloud("moderation", 403, "Your input was flagged by moderation."),
    _cloud("quota", 429, "You exceeded your current quota, please check your billing details."),
    _cloud("key", 400, "API key not valid. Please pass a valid API key."),
    _cloud("retired", 400, "The model `m` has been decommissioned and is no longer supported."),
    _cloud("retired", 410, "The model `m` has reached its end of life."),
    _cloud("too_long", 400, "Input tokens exceed the configured limit of 272000 tokens."),
    _cloud("too_long", 422, "`inputs` tokens + `max_new_tokens` must be <= 4096."),
    _cloud("part", 400, "This model does not support image input."),
    _cloud("tools", 404, "No endpoints found that support tool use."),
    Row("no_stream", Disease("no_stream"), ASKED_ANEW, but=NO_NAME | NO_OPTIONS),
    Row("no_stream_options", Disease("no_stream_options"), ASKED_ANEW, but=NO_NAME | NO_OPTIONS),
)  # fmt: skip
"""Refusals that only their words tell apart."""
HEADS: Final = (
    Row(
        "silent",
        Disease("silent_chat"),
        rescued("headers_timeout", "target"),
        but={"A": SILENT},
        kind="mute",
    ),
    _status(500, SERVER_ERROR),
    _status(502, BAD_STATUS),
    _status(503, busy()),
    _status(504, BAD_STATUS),
    _status(529, busy()),
    _status(429, busy()),
    Row("429_in_30_s", Disease("status", status=429, retry_after=30), busy()),
    Row("429_at_once", Disease("status", status=429, retry_after=0), busy(3)),
    Row(
        "429_until_a_day",
        Disease("status", status=429, retry_after="Fri, 31 Dec 2100 23:59:59 GMT"),
        busy(),
    ),
    _status(409, busy()),
    _status(424, BAD_STATUS),
    _status(425, busy()),
    _status(400, rejected(400)),
    _status(401, rejected(401), NOT_THERE),
    _status(402, rejected(402), NOT_THERE),
    _status(403, rejected(403), NOT_THERE),
    _status(404, NOT_THERE),
    _status(408, BAD_STATUS),
    _status(413, rejected(413)),
    _status(422, rejected(422)),
    Row("html_502", Disease("status", status=502, body="html"), BAD_STATUS),
    Row("redirect", Disease("redirect"), BAD_STATUS),
    Row("wrong_content_type", Disease("wrong_content_type"), CONTENT_TYPE),
    Row("html", Disease("html"), CONTENT_TYPE),
    Row("gzip", Disease("gzip"), CONTENT_TYPE),
    Row("two_lengths", Disease("two_lengths"), PAYLOAD),
    Row("interim_flood", Disease("hints_flood"), PAYLOAD),
)
BODIES: Final = (
    Row("headers_then_silent", Disease("headers_then_silent"), SILENT, kind="slow"),
    Row("reset_after_head", Disease("reset"), RESET),
    Row("cut_first", Disease("cut"), PAYLOAD),
    Row("stall_first", Disease("stall"), SILENT, kind="slow"),
    Row("empty_200", Disease("empty_200"), EMPTY),
    Row("empty_stream", Disease("empty_stream"), EMPTY),
    Row("unfinished_first", Disease("unfinished"), EMPTY),
    Row(
        "bad_json",
        Disease("bad_json"),
        MALFORMED,
        but={"A": EMPTY, "cloud": EMPTY, "anthropic": MALFORMED},
    ),
    Row("malformed_first", Disease("bad_json_event"), MALFORMED),
    Row(
        "error_first",
        Disease("error_event"),
        rescued("error_event", "model"),
        but={"A": SERVER_ERROR},
    ),
    Row("408_first", Disease("timeout_408"), PAYLOAD, but={"A": BAD_STATUS}),
    Row("keepalives_only", Disease("keepalives_only"), SILENT, kind="slow"),
    Row(
        "runner_gone",  # the state says that the model is ready, and nobody is at work
        Disease("runner_gone"),
        rescued("state_lost", "model"),
        but={"A": None, "cloud": None},
        kind="vouched",
    ),
    Row("prefill_stands", Disease("prefill_stalls", seconds=0.2), SILENT, kind="slow"),
)
GRAMMAR: Final = tuple(
    Row(
        f"{breach}_first",
        Disease("breach", breach=breach),
        MALFORMED,
        but=NO_GRAMMAR | {"anthropic": MALFORMED},
    )
    for breach in BREACHES
)
BEFORE: Final = (*CONNECTING, *HEADS, *WORDS, *BODIES, *GRAMMAR)
