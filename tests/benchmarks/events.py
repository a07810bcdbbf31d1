"""What `/supervisor/events` takes of a CPU: `python -m tests.benchmarks.events`.

A machine of 1,000 nodes and 100 events a second at real sockets, for nobody, one and 24 listeners;
those read in a process of their own. The event loop that tells does nothing else.
"""

import asyncio
import sys
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from socket import AF_UNIX, socket
from subprocess import PIPE, Popen
from time import monotonic, process_time, time

import anyio
import uvloop
from aiohttp import web

from exo_supervisor.core.effects import say
from exo_supervisor.host.log_line import now_text
from exo_supervisor.serve.clients import Clients
from exo_supervisor.serve.control.authority import Authority
from exo_supervisor.serve.control.event_stream import EVENTS, EventStream
from exo_supervisor.serve.control.handed_over import HandedOver
from exo_supervisor.serve.control.plain import answer
from exo_supervisor.serve.door import Door
from exo_supervisor.serve.listener import Listener
from exo_supervisor.views.day_book import DayBook
from exo_supervisor.views.event_feed import EventFeed
from exo_supervisor.views.now import Pulse, Tokens
from exo_supervisor.views.request_done import AttemptDone, RequestDone, RequestLine
from exo_supervisor.views.tally import Tally
from tests.core.story import BOTH, Story
from tests.serve.listening import no_dispatch

NODES, A_SECOND, SECONDS = 1000, 100, 10.0
READERS = """
import socket, sys
from select import select
def listen():
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
    s.sendall(b"GET /supervisor/events HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")
    return s
readers = [listen() for _ in range(int(sys.argv[2]))]
came = 0
while readers:
    for each in select(readers, [], [])[0]:
        data = each.recv(65536); came += data.count(b"event: request_")
        if not data: readers.remove(each)
print(came)
"""
ATTEMPT = AttemptDone("192.168.1.5:52415", "m", "m", None, 0.0, 1.0, 0.1, 0.2, "none", 200, "")


async def _tell(tally: Tally, feed: EventFeed) -> None:
    """Start and end requests, ten each tenth of a second; now and then a node has something."""
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    for turn in count(1):
        for place in range(A_SECOND // 20):
            line = RequestLine(f"01J9{turn}-{place}", "house-model", outcome="success", status=200)
            feed.started(line)
            if place:
                feed.done(done := RequestDone(line, (ATTEMPT,)))
                tally.done(done)
            else:
                feed.announce(say("info", "node_ready", node="192.168.1.5:52415"))
        if turn * 0.1 >= SECONDS:
            return
        await asyncio.sleep(began + turn * 0.1 - loop.time())


async def _measure(listeners: int) -> None:
    story = Story(BOTH, *(f"10.0.{at // 250}.{at % 250}:52415" for at in range(NODES)))
    feed, tally = EventFeed("f" * 16, now_text), Tally()
    pulse = Pulse(story.machine, tally, DayBook(time, "USD"), feed, time, Tokens())
    stream = EventStream(pulse, Authority())

    def look(request: web.BaseRequest, path: str) -> object:
        return stream.look(request, path.removeprefix(EVENTS)[1:])

    with tempfile.TemporaryDirectory(dir="/tmp") as place, socket(AF_UNIX) as bound:
        path = str(Path(place) / "s")
        bound.bind(path)
        listener = Listener(
            no_dispatch, (), HandedOver(partial(answer, look)),  # type: ignore[arg-type]
            Door(monotonic), clients=Clients(), drain_timeout=1.0,
        )  # fmt: skip
        await listener.listen([bound])
        readers = Popen([sys.executable, "-c", READERS, path, str(listeners)], stdout=PIPE)  # noqa: S603, ASYNC220 -- our own words
        await asyncio.sleep(1.0)
        began = process_time()
        await _tell(tally, feed)
        share = (process_time() - began) / SECONDS
        feed.close()
        await listener.drain()
        heard, _ = await anyio.to_thread.run_sync(readers.communicate)
    told = f"{listeners} listeners: {100 * share:.1f} % of a CPU, {int(heard)} events of requests"
    sys.stdout.write(f"{told} were heard\n")


if __name__ == "__main__":
    for listeners in (0, 1, 24):
        uvloop.run(_measure(listeners))
