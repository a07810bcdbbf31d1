"""The matrix in a few lines, as the README has it: written from the cells, so that it is true."""

from typing import Final

from msgspec import Struct

from tests.app.matrix.cells import Client
from tests.app.matrix.table import CELLS

SAYS: Final[dict[Client, str]] = {
    "whole": "passes whole",
    "rescued": "another target answers",
    "error": "you are told, with its status",
    "broken": "an error event, and a cut connection",
}
HEAD: Final = ("what breaks", "before the answer began", "after")


class Line(Struct, frozen=True):
    """One line, and the rows of the matrix that it stands for."""

    what: str
    before: str = ""
    after: str = ""

    def written(self) -> str:
        """Write the line; all cells of a client who streams must have come to the same."""
        return f"| {self.what} | {_says(self.before)} | {_says(self.after)} |"


LINES: Final = (
    Line(
        "refused, unreachable, no TLS; reset or cut",
        "refused unreachable no_route no_such_name tls reset_early reset_after_head cut_first",
        "reset_later cut_later",
    ),
    Line(
        "silence, keep-alives alone, prefill that stands still, a stall",
        "silent headers_then_silent keepalives_only prefill_stands stall_first runner_gone",
        "stall_later",
    ),
    Line(
        "an error event, a 408 in the body, an event out of place, an end without a finish reason",
        "error_first 408_first unfinished_first second_start_first"
        " other_block_first nested_block_first open_block_first no_reason_first",
        "error_later 408_later unfinished done_without_finish one_malformed network_error"
        " second_start_later other_block_later nested_block_later open_block_later no_reason_later",
    ),
    Line(
        "500, 502, 504, a redirect, HTML, gzip, bad JSON, an empty 200",
        "status_500 status_502 status_504 redirect html html_502 gzip bad_json empty_200"
        " malformed_first"
        " empty_stream two_lengths interim_flood event_of_9_mb",
    ),
    Line(
        "409, 425, 429, 503 (never counted as failed), 404, 424",
        "status_409 status_424 status_425 status_429"
        " 429_in_30_s 429_until_a_day 429_at_once status_503 status_529 status_404",
    ),
    Line(
        "no key, no credit, moderation, a retired model, too long, a field that is not taken",
        "400_key 402_smaller 403_moderation 429_quota 400_retired 410_retired 400_too_long"
        " 422_too_long 400_part 404_tools",
    ),
    Line("400, 413, 422: the request is wrong", "status_400 status_413 status_422"),
    Line(
        "CRLF, split characters, 5 MB in one event, no `[DONE]` or bytes after it",
        "crlf split_bytes split_characters event_of_5_mb interim_heads duplicate_headers",
        "no_done bytes_after_done open_after_done no_usage odd_json trickle",
    ),
)


def table() -> list[str]:
    """Write the whole table."""
    head = f"| {' | '.join(HEAD)} |"
    return [head, "|---|---|---|", *(line.written() for line in LINES)]


def _says(rows: str) -> str:
    if not rows:
        return ""
    clients: set[Client] = {
        cell.told.client
        for cell in CELLS.values()
        if cell.mode == "stream" and cell.row.name in rows.split()
    }
    [client] = clients
    return SAYS[client]
