"""Faults after the first content, and oddities that are none."""

from typing import Final

from exo_supervisor.demo import Disease
from exo_supervisor.demo.diseases import BREACHES
from tests.app.matrix.before import MALFORMED, NO_GRAMMAR, PAYLOAD, RESET, SILENT
from tests.app.matrix.cells import Row, broken, rescued, whole

MB: Final = 1024 * 1024
OVERSIZED: Final = rescued("oversized", "target")
CUT: Final = broken("payload", "target")
UNFINISHED: Final = rescued("unfinished", "model")
LOST: Final = broken("malformed", "model")
STALLED: Final = broken("stall", "model")
STALLED_PLAIN: Final = rescued("stall", "model")

AFTER: Final = (
    Row("cut_later", Disease("cut", after=2), CUT, PAYLOAD),
    Row("reset_later", Disease("reset", after=2), broken("reset", "target"), RESET),
    Row(
        "stall_later",
        Disease("stall", after=2),
        STALLED,
        STALLED_PLAIN,
        kind="stalling",
    ),
    Row(
        "pause_later",  # a call of a tool is written in silence: at Exo, the state vouches for it
        Disease("pause", after=2, seconds=3.0),
        STALLED,
        STALLED_PLAIN,
        but={"B": whole(), "C": whole()},
        kind="vouched",
    ),
    Row(
        "error_later",
        Disease("error_event", after=2),
        broken("error_event", "model"),
        rescued("error_event", "model"),
        but={"A-stream": CUT, "A-plain": PAYLOAD},
    ),
    Row(
        "one_malformed",
        Disease("bad_json_event", after=2),
        LOST,
        MALFORMED,
    ),
    Row(
        "network_error",
        Disease("network_error", after=2),
        broken("error_event", "model"),
        rescued("error_event", "model"),
        but={"anthropic": None},  # it has no such reason to stop
    ),
    Row("unfinished", Disease("unfinished", after=2), broken("unfinished", "model"), UNFINISHED),
    Row(
        "done_without_finish",
        Disease("done_without_finish"),
        broken("unfinished", "model"),
        UNFINISHED,
    ),
    Row("408_later", Disease("timeout_408", after=2), CUT, PAYLOAD),
    Row(
        "half_a_call",
        Disease("tool_cut"),
        PAYLOAD,
        but={"A": None, "cloud-stream": CUT, "cloud-ollama-stream": PAYLOAD},  # it tells none of it
        tools=True,
    ),
    *(
        Row(
            f"{breach}_later",
            Disease("breach", after=2, breach=breach),
            LOST,
            but=NO_GRAMMAR | {"anthropic-stream": LOST, "anthropic-plain": MALFORMED},
        )
        for breach in BREACHES
    ),
)
HARMLESS: Final = (
    Row("healthy", Disease(), whole()),
    Row(
        "prefill_then_content",
        Disease("prefill_then_content", seconds=2.0),
        whole(),
        but={"A": SILENT, "cloud": SILENT},  # they do not tell how far they are
        kind="slow",
    ),
    Row("trickle", Disease("trickle", seconds=0.4), whole(), kind="slow"),
    Row("odd_json", Disease("odd_json"), whole()),
    Row("event_of_5_mb", Disease("huge_event", size=5 * MB), whole(), kind="heavy"),
    Row("event_of_9_mb", Disease("huge_event", size=9 * MB), OVERSIZED, kind="heavy"),
    Row("crlf", Disease("crlf"), whole()),
    Row("split_bytes", Disease("split_bytes"), whole()),
    Row("split_characters", Disease("split_characters"), whole()),
    Row("no_done", Disease("no_done"), whole()),
    Row("bytes_after_done", Disease("bytes_after_done"), whole()),
    Row("open_after_done", Disease("open_after_done"), whole(), kind="slow"),
    Row("no_usage", Disease("no_usage"), whole()),
    Row("duplicate_headers", Disease("duplicate_headers"), whole()),
    Row("interim_heads", Disease("hints"), whole()),
    Row("a_call", Disease(), whole(), but={"A": None}, tools=True),
    Row(
        "a_call_in_silence",
        Disease("pause", after=1, seconds=3.0),
        whole(),
        but={"A": None},
        kind="stalling",
        tools=True,
    ),
    Row(
        "long_first_step",
        Disease("long_step", seconds=3.0),
        whole(),
        but={"A": SILENT, "cloud": SILENT},
        kind="vouched",
    ),
)
