"""Soak the service, print what was seen, and end with 1 if anything leaked or lied."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import anyio
from msgspec import Struct

from tests.soak.crowd import Tally, visit
from tests.soak.gauges import FLAT, MINUTE, Gauges, calm, read, spare, watch
from tests.soak.house import House, open_house
from tests.soak.weather import change, heal


class Findings(Struct):
    """Everything that was measured; descriptors, tasks and streams before and after."""

    tally: Tally
    gauges: Gauges
    before: tuple[int, int]
    after: tuple[int, int]
    seconds: float
    logged: int
    distinct: int
    in_flight: int
    half_open: int
    streams: int
    spare: int


async def soak(minutes: float, streams: int, seed: int, place: Path) -> Findings:
    """Let so many clients ask at once for so long, and see what is left when all is quiet."""
    async with open_house(place) as house:
        await house.look("/supervisor/status")
        before = (await read(house))[1], await house.tasks()
        tally, gauges = Tally(), Gauges()
        await _storm(house, tally, gauges, minutes * MINUTE, streams, seed)
        await heal(house)
        after = await calm(house, *before)
        done = await house.logged()
        breakers = (await house.look("/supervisor/breakers"))["breakers"]
        return Findings(
            tally=tally,
            gauges=gauges,
            before=before,
            after=after,
            seconds=minutes * MINUTE,
            logged=len(done),
            distinct=len({line["request_id"] for line in done}),
            in_flight=(await house.look("/supervisor/status"))["requests"]["in_flight"],
            half_open=sum(row["state"] == "half_open" for row in breakers),
            streams=sum(server.open_streams for server in house.servers),
            spare=spare(house),
        )


async def _storm(
    house: House, tally: Tally, gauges: Gauges, seconds: float, streams: int, seed: int
) -> None:
    stop = anyio.Event()
    async with anyio.create_task_group() as around:
        around.start_soon(watch, house, gauges)
        around.start_soon(change, house, Random(seed))  # noqa: S311 - weather, no secret
        async with anyio.create_task_group() as clients:
            for place in range(streams):
                dice = Random(seed + place + 1)  # noqa: S311 - a client's whims, no secret
                clients.start_soon(visit, house, tally, dice, stop)
            await anyio.sleep(seconds)
            stop.set()
        around.cancel_scope.cancel()


def faults(found: Findings) -> Iterator[str]:
    """Name all that should not be."""
    tally, first, last = found.tally, *_memory(found)
    if tally.breaches:
        yield f"{len(tally.breaches)} answers were neither whole nor a clear error"
    if not found.logged == found.distinct == tally.sent:
        yield f"{tally.sent} requests, {found.logged} ends, {found.distinct} of them distinct"
    if abs(last - first) > FLAT * first:
        yield f"memory went from {first:.1f} to {last:.1f} MiB"
    for what, before, after, spared in zip(
        ("descriptors", "tasks"), found.before, found.after, (found.spare, 0), strict=True
    ):
        if after > before + spared:
            yield f"{after - before} {what} left over"
    for what, count in (
        ("requests in flight", found.in_flight),
        ("probes out", found.half_open),
        ("upstream connections", found.streams),
    ):
        if count:
            yield f"{count} {what} left over"


def _memory(found: Findings) -> tuple[float, float]:
    """Tell the memory after the first minute, and at the end."""
    end = found.gauges.samples[-1][0]
    first = min(MINUTE, end / 2)
    return found.gauges.memory(first, first + 10.0), found.gauges.memory(end - 10.0, end)


def table(found: Findings) -> str:
    """Lay out the figures."""
    tally, gauges, (first, last) = found.tally, found.gauges, _memory(found)
    ends = ", ".join(f"{count} {end}" for end, count in tally.ends.most_common())
    rows = [
        ("requests", f"{tally.sent} in {found.seconds:.0f} s, {tally.sent / found.seconds:.0f} /s"),
        ("ended as", ends),
        ("breaches", str(len(tally.breaches))),
        ("request_done lines", f"{found.logged}, {found.distinct} of them distinct"),
        ("memory, MiB", f"{first:.1f} after 1 min, {last:.1f} at the end, {gauges.peak:.1f} peak"),
        (
            "descriptors",
            f"{found.before[0]} before, {gauges.descriptors} peak, {found.after[0]} after",
        ),
        ("tasks", f"{found.before[1]} before, {found.after[1]} after"),
        (
            "left over",
            f"{found.in_flight} requests, {found.half_open} probes, {found.streams} streams",
        ),
    ]
    return "\n".join(f"{name:<20}{value}" for name, value in rows)


def main() -> int:
    """Run it; 1 if anything leaked or lied."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.getLogger("aiohttp.server").disabled = True  # pretend targets are cut off all the time
    place = Path(tempfile.mkdtemp(prefix="es-soak-"))
    found = anyio.run(soak, asked.minutes, asked.streams, asked.seed, place)
    sys.stdout.write(table(found) + "\n")
    wrong = [*faults(found), *sorted(set(found.tally.breaches))[:5]]
    if wrong:
        sys.stdout.write(f"failed: {'; '.join(wrong)}; the log is {place / 'log'}\n")
        return 1
    sys.stdout.write("nothing leaked, every request was answered once\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
