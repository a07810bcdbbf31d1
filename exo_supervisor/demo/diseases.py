"""What a demo server can suffer from."""

from typing import Final, Literal, get_args

import msgspec

Name = Literal[
    "none",
    "dead",
    "unreachable",
    "silent",
    "silent_chat",
    "slow",
    "headers_then_silent",
    "keepalives_only",
    "reset_early",
    "reset",
    "error_event",
    "empty_200",
    "empty_stream",
    "unfinished",
    "cut",
    "stall",
    "timeout_408",
    "status",
    "redirect",
    "wrong_model",
    "wrong_content_type",
    "html",
    "gzip",
    "bad_json",
    "bad_json_event",
    "breach",
    "odd_json",
    "network_error",
    "no_stream",
    "no_stream_options",
    "two_lengths",
    "duplicate_headers",
    "hints",
    "hints_flood",
    "tool_cut",
    "no_usage",
    "instance_gone",
    "loading",
    "downloading",
    "download_failed",
    "hub_lookup",
    "runner_failed",
    "runner_gone",
    "re_election",
    "no_done",
    "done_without_finish",
    "bytes_after_done",
    "open_after_done",
    "prefill_then_content",
    "prefill_stalls",
    "long_step",
    "pause",
    "trickle",
    "huge_event",
    "crlf",
    "split_bytes",
    "split_characters",
]

NAMES: Final[tuple[Name, ...]] = get_args(Name)

Breach = Literal["second_start", "other_block", "nested_block", "open_block", "no_reason"]
"""What breaks the grammar of Messages: a message or a block begins in another, a delta is of a
block that is not open, and the message ends with a block open, or without saying why."""
BREACHES: Final[tuple[Breach, ...]] = get_args(Breach)

# Before these are cured, a model answers nobody.
LOADS: Final = frozenset({"loading", "downloading", "download_failed"})

# What one node suffers from and every node of its cluster shows, as they share one state.
SHARED: Final = LOADS.union(
    ("instance_gone", "hub_lookup", "runner_failed", "runner_gone", "re_election")
)


class Disease(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One disease and its measures.

    `after` counts tokens sent well before it breaks out; `seconds` is the wait of `slow`,
    `prefill_then_content`, `long_step` (of a prefill, in silence) and `pause`, and between the
    tokens of `trickle` or the comments of `prefill_stalls`, and the length of the pause of
    `re_election` and of `hub_lookup` (of what a model without a card needs before it is placed);
    `percent` is how far `downloading` is; `status`, `retry_after` (a header's value), `body` and
    `words` belong to `status`; `size` is the bytes of `huge_event`; `breach` says which one
    `breach` is, of a cloud that speaks Messages: no other has such a grammar.
    """

    name: Name = "none"
    after: int = 0
    percent: int = 25
    seconds: float = 3.0
    status: int = 500
    retry_after: str | int | None = None
    body: Literal["json", "text", "html"] = "json"
    words: str = "the demo refuses this request"
    size: int = 1 << 20
    breach: Breach = "second_start"


HEALTHY: Final = Disease()
