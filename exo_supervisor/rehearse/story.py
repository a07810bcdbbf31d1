"""The demo's story: each step really happens, or the story says which one did not."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
from msgspec import Struct

from exo_supervisor.client.errors import AnswerError
from exo_supervisor.client.json_object import Fields, objects
from exo_supervisor.errors import SupervisorError
from exo_supervisor.rehearse.stage import MODEL, Stage

WAIT = 10.0
"""Seconds that a step may take before it has failed."""
STREAMS, WHOLES = 4, 4
"""Requests under way when the node dies: streamed ones, and ones that want a whole answer."""


class Step(Struct, frozen=True):
    """One line of the story; `at` is in seconds since it began."""

    at: float
    ok: bool
    name: str
    text: str


class FailedStepError(SupervisorError):
    """A step of the story did not happen."""


async def tell(stage: Stage) -> AsyncGenerator[Step]:
    """Play the story, a step at a time; it ends with the first step that fails."""
    began = anyio.current_time()
    acts: list[tuple[str, Callable[[Stage], Awaitable[str]]]] = [
        ("found 3 nodes", _find),
        ("answered by Exo", _answer),
        ("killed that node", _kill),
        ("shift to cloud", _to_cloud),
        ("node is back", _return),
        ("shift to Exo", _to_exo),
    ]
    for name, act in acts:
        try:
            with anyio.fail_after(WAIT):
                text, ok = await act(stage), True
        except TimeoutError:
            text, ok = f"waited {WAIT:.0f} s, it did not happen", False
        except (FailedStepError, AnswerError) as fault:
            text, ok = str(fault), False
        yield Step(anyio.current_time() - began, ok, name, text)
        if not ok:
            return


async def _find(stage: Stage) -> str:
    """Wait until the service knows every node and the model is ready."""
    while True:
        rows = await _nodes(stage)
        if len(rows) == len(stage.nodes) and all(row["rung"] == "ready" for row in rows):
            break
        await anyio.sleep(0.05)
    shown = [f"{node.generation} :{node.port}" for node in stage.nodes[1:]]
    first = stage.nodes[0]
    return ", ".join([f"{first.generation} {first.address}", *shown])


async def _answer(stage: Stage) -> str:
    began, first = anyio.current_time(), 0.0
    stream = stage.client.stream("Say something.", model=MODEL)
    async for _ in stream:
        first = first or anyio.current_time() - began
    target = stream.served.target
    _expect(target == stage.star.address, f"{target or 'nobody'} answered")
    return f"{target}, first content in {first:.2f} s"


async def _kill(stage: Stage) -> str:
    """Kill the node when every stream has begun and no whole answer is in."""
    ends: list[str] = []
    begun = anyio.Semaphore(0)
    async with anyio.create_task_group() as tasks:
        for _ in range(STREAMS):
            tasks.start_soon(_one_stream, stage, begun, ends)
        for _ in range(WHOLES):
            tasks.start_soon(_one_whole, stage, ends)
        for _ in range(STREAMS):
            await begun.acquire()
        stage.star.drop()
    whole, broken = ends.count("whole"), ends.count("error")
    _expect(whole + broken == STREAMS + WHOLES, "a request got neither an answer nor an error")
    _expect(whole >= WHOLES, "a request that had not begun its answer failed")
    return f"while {len(ends)} requests ran: {whole} whole, {broken} clear errors"


async def _one_stream(stage: Stage, begun: anyio.Semaphore, ends: list[str]) -> None:
    fresh = True
    try:
        async for _ in stage.client.stream("Say something long.", model=MODEL):
            if fresh:
                fresh = False
                begun.release()
    except AnswerError as error:
        ends.append("error" if error.code in ("attempts_failed", "broken_off") else error.code)
    else:
        ends.append("whole")


async def _one_whole(stage: Stage, ends: list[str]) -> None:
    try:
        await stage.client.chat("Say something.", model=MODEL)
    except AnswerError as error:
        ends.append(error.code)
    else:
        ends.append("whole")


async def _to_cloud(stage: Stage) -> str:
    """Ask until the breaker or the health check keeps traffic away from the dead node."""
    asked = 0
    while True:
        asked += 1
        served = (await stage.client.chat("Say something.", model=MODEL)).served
        _expect(served.target == "pretend-cloud", "Exo answered")
        if served.shift in ("breaker_open", "exo_down"):
            return f"{served.shift}; {asked} answered, none refused"
        await anyio.sleep(0.05)


async def _return(stage: Stage) -> str:
    await stage.star.start()
    while True:
        for row in await _nodes(stage):
            if row["id"] == stage.star.address and row["rung"] == "ready":
                return "its model is ready again"
        await anyio.sleep(0.05)


async def _to_exo(stage: Stage) -> str:
    while True:
        answer = await stage.client.chat("Say something.", model=MODEL)
        if answer.served.target == stage.star.address:
            return f"{stage.star.address} answers again"
        await anyio.sleep(0.1)


async def _nodes(stage: Stage) -> list[Fields]:
    return objects((await stage.client.look("/supervisor/nodes"))["nodes"])


def _expect(happened: bool, otherwise: str) -> None:  # noqa: FBT001 -- an assertion's form
    if not happened:
        raise FailedStepError(otherwise)
