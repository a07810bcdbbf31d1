"""Requests that Exo B and C take by their schema and die of (seen on v1.0.71 and later)."""

from typing import cast

from exo_supervisor.demo.answers import JsonObject

VOCABULARY = 128_256
"""Of Llama 3; a `top_k` beyond it ends the runner."""
WIDEST = 2**64


def ends_the_process(body: object) -> bool:
    """Say whether a request ends the whole node: its event log holds no integer beyond 64 bits."""
    match body:
        case bool() | float() | None:
            return False
        case int():
            return not -(WIDEST // 2) <= body < WIDEST
        case dict():
            return any(map(ends_the_process, cast("JsonObject", body).values()))
        case list():
            return any(map(ends_the_process, cast("list[object]", body)))
        case _:
            return False


def killing(body: JsonObject) -> str | None:
    """Return the runner's last words, or None for a request that it survives."""
    seed, min_p, top_k = (body.get(name) for name in ("seed", "min_p", "top_k"))
    if not any(_speaks(message) for message in body["messages"]):
        return "list index out of range"
    if isinstance(seed, int) and seed < 0:
        return "seed(): incompatible function arguments."
    if isinstance(min_p, int | float) and not 0 <= min_p <= 1:
        return f"`min_p` has to be a float in the [0, 1] interval, but is {min_p}"
    if isinstance(top_k, int) and top_k > VOCABULARY:
        return f"`top_k` has to be an integer in the (0, {VOCABULARY}] interval, but is {top_k}."
    return None


def _speaks(message: JsonObject) -> bool:
    return message["role"] != "assistant" and message.get("content") is not None
