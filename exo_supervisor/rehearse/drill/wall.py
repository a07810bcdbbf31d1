"""The wall of faults: what befalls the first choice, and what a client must see of it."""

from collections.abc import Mapping
from typing import Final, Literal

import anyio
from msgspec import Struct

from exo_supervisor.demo import Disease
from exo_supervisor.demo.diseases import Name
from exo_supervisor.rehearse.drill.ground import Ground
from exo_supervisor.rehearse.drill.plan import Plan
from exo_supervisor.rehearse.drill.witness import NO_HEADERS, Verdict, ask, chat, judge

MOST_WAIT: Final = 3600
"""Seconds that a busy target says it needs: more than any patience of a drill."""


class Fault(Struct, frozen=True):
    """One way to fail. `strikes` says when: before the first content, after it, or it is borne.

    A `slow` one takes as long as the longest timer, so that it is drilled beside others.
    """

    name: str
    disease: Disease
    strikes: Literal["before", "after", "never"] = "before"
    slow: bool = False


class Failure(Exception):  # noqa: N818 - it ends one row of the card, and no more
    """What should hold did not."""


WALL: Final = (
    Fault("no fault", Disease(), "never"),
    Fault("connection refused", Disease("dead")),
    Fault("reset before content", Disease("cut")),
    Fault("500", Disease("status", status=500)),
    Fault("502", Disease("status", status=502, body="html")),
    Fault("503, Retry-After", Disease("status", status=503, retry_after=MOST_WAIT)),
    Fault("429", Disease("status", status=429)),
    Fault("409", Disease("status", status=409)),
    Fault("424", Disease("status", status=424)),
    Fault("400, too long", Disease("status", status=400, words="prompt is too long")),
    Fault("404, not placed", Disease("instance_gone")),
    Fault("wrong content type", Disease("wrong_content_type")),
    Fault("empty 200", Disease("empty_200")),
    Fault("empty stream", Disease("unfinished")),
    Fault("error event first", Disease("error_event")),
    Fault("error event later", Disease("error_event", after=3), "after"),
    Fault("cut after 3 tokens", Disease("cut", after=3), "after"),
    Fault("malformed event first", Disease("bad_json_event")),
    Fault("malformed event later", Disease("bad_json_event", after=3), "after"),
    Fault("nearly JSON", Disease("odd_json"), "never"),
    Fault("finish_reason network_error", Disease("network_error", after=3), "after"),
    Fault("no [DONE]", Disease("no_done"), "never"),
    Fault("[DONE], no finish_reason", Disease("done_without_finish"), "after"),
    Fault("accepted, then silent", Disease("silent_chat"), slow=True),
    Fault("headers, then silent", Disease("headers_then_silent"), slow=True),
    Fault("keep-alives only", Disease("keepalives_only"), slow=True),
    Fault("runner gone, state ready", Disease("runner_gone"), slow=True),
    Fault("stall after 3 tokens", Disease("stall", after=3), "after", slow=True),
)


def wall(plan: Plan) -> tuple[Fault, ...]:
    """Return every fault that a plan can be drilled with, the silences of a healthy Exo last.

    Those outlast the timers that would end them, and Exo's state vouches for them. Where a cloud
    comes first, nobody vouches; where `first_content_max` is no longer than they are, nobody may.
    """
    timers = plan.config.timeouts
    silences: tuple[tuple[str, Name, float], ...] = (
        ("long first prefill step", "long_step", max(timers.first_content, timers.stall)),
        ("silence in mid-answer", "pause", timers.stall),
    )
    if not plan.exo_first:
        return WALL
    return WALL + tuple(
        Fault(
            name,
            Disease(disease, after=3, seconds=min(1.5 * limit, (limit + longest) / 2)),
            "never",
            slow=True,
        )
        for name, disease, limit in silences
        if limit < (longest := timers.first_content_max)
    )


async def face(ground: Ground, fault: Fault) -> str:
    """Let the first choice fail under a stream and a whole answer, and say what came of them.

    Raises Failure where that is not what it must be.
    """
    first = await first_choice(ground)
    before = ground.asked(first)
    ground.server(first).disease = fault.disease
    verdicts = await both(ground)
    if fault.disease.name != "dead" and ground.asked(first) == before:
        raise Failure(f"{ground.name_of(first)} was not asked")
    for verdict, stream in zip(verdicts, (True, False), strict=True):
        _check(ground, fault, first, verdict, stream=stream)
    streamed, plain = verdicts
    if streamed.kind == plain.kind:
        return _spell(ground, streamed)
    if plain.kind == "whole":
        return f"stream clear error and cut, plain by {ground.name_of(plain.target)}"
    return f"stream by {ground.name_of(streamed.target)}, plain clear error {plain.code}"


async def first_choice(ground: Ground) -> str:
    """Tell who answers while all is well. Raises Failure."""
    verdict = judge(
        await ask(ground.socket, chat(ground.plan.model.name, stream=True)), stream=True
    )
    if verdict.kind != "whole":
        raise Failure(f"all is well, yet it gets {verdict.code or verdict.why}")
    return verdict.target


async def both(ground: Ground, headers: Mapping[str, str] = NO_HEADERS) -> tuple[Verdict, Verdict]:
    """Ask for a stream and for a whole answer at once, and judge both."""
    found: dict[bool, Verdict] = {}

    async def one(stream: bool) -> None:  # noqa: FBT001 - it is the key too
        request = chat(ground.plan.model.name, stream=stream, headers=headers)
        found[stream] = judge(await ask(ground.socket, request), stream=stream)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, True)  # noqa: FBT003 - start_soon takes no keywords
        tasks.start_soon(one, False)  # noqa: FBT003 - the same
    return found[True], found[False]


def check_privacy(ground: Ground) -> None:
    """Check that what must stay has stayed. Raises Failure."""
    if ground.plan.local_only and ground.left_house:
        raise Failure(f"{ground.left_house} requests of a local_only model reached a cloud")


def has_another(ground: Ground, first: str) -> bool:
    """Say whether a request may go elsewhere when its first choice fails."""
    order = ground.plan.config.routing.order
    exo = [ground.node.address] if ground.node is not None and "exo" in order else []
    clouds = list(ground.clouds) if "cloud" in order and not ground.plan.local_only else []
    return bool({*exo, *clouds} - {first})


def _check(ground: Ground, fault: Fault, first: str, verdict: Verdict, *, stream: bool) -> None:
    kind = "the stream" if stream else "the plain answer"
    if verdict.kind == "neither":
        raise Failure(f"{kind} was {verdict.why}")
    model = ground.plan.model
    shown = stream and fault.strikes == "after" and model.commit == "content"
    if fault.strikes == "never":
        held = verdict.kind == "whole" and verdict.target == first
    elif shown and model.continue_:
        held = True  # it goes on elsewhere where the target can, and is a clear error where not
    elif shown:
        held = verdict.kind == "error" and verdict.cut
    elif has_another(ground, first):
        held = verdict.kind == "whole" and verdict.target != first
    else:
        held = verdict.kind == "error"
    if not held:
        raise Failure(f"{kind} was {_spell(ground, verdict)}")


def _spell(ground: Ground, verdict: Verdict) -> str:
    if verdict.kind == "whole":
        shift = f", {verdict.shift}" if verdict.shift else ""
        return f"answered by {ground.name_of(verdict.target)}{shift}"
    return (
        "clear error, connection cut, no [DONE]" if verdict.cut else f"clear error {verdict.code}"
    )
