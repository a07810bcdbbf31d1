"""What the wall does not show: who leaves, who is in a hurry, who must stay, and who recovers."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from exo_supervisor.client.json_object import objects
from exo_supervisor.demo import HEALTHY, Disease
from exo_supervisor.demo.server import DemoServer
from exo_supervisor.rehearse.drill.ground import Ground
from exo_supervisor.rehearse.drill.wall import Failure, both, first_choice
from exo_supervisor.rehearse.drill.witness import ask, chat, judge

SOON: Final = 0.3
"""Seconds within which a target hears that its client has left, and a deadline is kept."""
DEADLINE: Final = 0.2
_FOR_EVER: Final = 600.0
KILLERS: Final[tuple[dict[str, object], ...]] = (
    {"seed": 2**70},
    {"seed": -1},
    {"top_k": 10**7},
    {"min_p": 2.0},
    {"messages": [{"role": "user", "content": None}]},
    {"messages": [{"role": "assistant", "content": "This is a drill."}]},
)
"""Fields of requests, each of which ends the runner or the whole process of a real Exo."""

Act = Callable[[Ground], Awaitable[str]]


async def leave(ground: Ground, within: float = SOON) -> str:
    """Leave while waiting, and in mid-stream: both times the target must hear of it in time."""
    server = ground.server(await first_choice(ground))
    took: list[float] = []
    for disease in (Disease("slow", seconds=_FOR_EVER), Disease("trickle", seconds=0.1)):
        server.disease = disease
        async with await anyio.connect_unix(ground.socket) as client:
            await client.send(chat(ground.plan.model.name, stream=True))
            await server.until(lambda: server.open_streams == 1)
            if disease.name == "trickle":
                await client.receive()
        took.append(await _closed(server, within))
        if ground.node is not None and not ground.node.well():
            raise Failure("Exo's runner works on for a client that left")
    return f"upstream closed in {took[0]:.2f} s, mid-stream {took[1]:.2f} s"


async def _closed(server: DemoServer, within: float) -> float:
    began = anyio.current_time()
    with anyio.move_on_after(max(within, 10 * SOON)):
        await server.until(lambda: server.open_streams == 0)
    took = anyio.current_time() - began
    if took > within:
        raise Failure(f"the upstream was not closed within {within} s")
    return took


async def hurry(ground: Ground) -> str:
    """Give a deadline while everybody is slow."""
    for server in ground.servers:
        server.disease = Disease("slow", seconds=_FOR_EVER)
    began = anyio.current_time()
    request = chat(
        ground.plan.model.name, stream=True, headers={"x-supervisor-deadline": str(DEADLINE)}
    )
    verdict = judge(await ask(ground.socket, request), stream=True)
    # uvloop's clock has whole milliseconds, and of two hundred a difference may lack a bit.
    took = round(anyio.current_time() - began, 3)
    if verdict.code != "deadline":
        raise Failure(f"it got {verdict.code or verdict.why or verdict.kind}")
    if not DEADLINE <= took <= DEADLINE + SOON:
        raise Failure(f"clear error deadline, but after {took:.2f} s instead of {DEADLINE} s")
    return f"clear error deadline after {took:.2f} s of {DEADLINE} s"


async def stay(ground: Ground) -> str:
    """Ask for what must not leave while Exo is down: no byte of it may reach a cloud."""
    left = ground.left_house
    if ground.node is not None:
        ground.node.disease = Disease("dead")
    verdicts = await both(ground, {"x-supervisor-privacy": "local_only"})
    if ground.left_house != left:
        raise Failure(f"{ground.left_house - left} requests reached a cloud")
    for verdict in verdicts:
        if verdict.kind != "error":
            raise Failure(f"it got {verdict.why or verdict.kind}")
    return f"clear error {verdicts[0].code}, no cloud was asked"


async def kill(ground: Ground) -> str:
    """Ask what would end an Exo: whatever its client gets, Exo must go on."""
    kinds: list[str] = []
    for fields in KILLERS:
        heard = await ask(ground.socket, chat(ground.plan.model.name, stream=False, fields=fields))
        verdict, (name,) = judge(heard, stream=False), fields
        if verdict.kind == "neither":
            raise Failure(f"{name}: {verdict.why}")
        kinds.append(verdict.kind)
        if ground.node is not None and not ground.node.well():
            raise Failure(f"{name}: Exo died of it")
    served = kinds.count("whole")
    return f"Exo lives; {served} answered, {len(kinds) - served} clear errors"


async def recover(ground: Ground) -> str:
    """Fail as often as it takes for the breaker to open, and wait until it has closed again."""
    first, rules = await first_choice(ground), ground.plan.config.breaker
    server, model = ground.server(first), ground.plan.model.name
    server.disease = Disease("status", status=502)
    for asked in range(rules.trip_after):
        if await _state(ground, first) != "closed":
            raise Failure(f"the breaker opened after {asked} failures")
        await ask(ground.socket, chat(model, stream=False))
    if await _state(ground, first) != "open":
        raise Failure(f"the breaker did not open after {rules.trip_after} failures")
    server.disease, before = HEALTHY, anyio.current_time()
    while True:
        verdict = judge(await ask(ground.socket, chat(model, stream=False)), stream=False)
        if verdict.kind == "neither":
            raise Failure(f"an answer was {verdict.why}")
        if verdict.target == first:
            break
        await anyio.sleep(0.02)
    took = anyio.current_time() - before
    if await _state(ground, first) != "closed":
        raise Failure(f"{ground.name_of(first)} answers, but its breaker is not closed")
    times = "once" if rules.trip_after == 1 else f"after {rules.trip_after} failures"
    return f"opened {times}, {ground.name_of(first)} back in {took:.1f} s"


async def _state(ground: Ground, target: str) -> str:
    rows = objects((await ground.client.look("/supervisor/breakers"))["breakers"])
    return next(str(r["state"]) for r in rows if r["target"] == target and r["model"] is None)


ACTS: Final[tuple[tuple[str, Act], ...]] = (
    ("client leaves", leave),
    ("deadline", hurry),
    ("requests that kill", kill),
    ("local_only", stay),
    ("breaker", recover),
)
