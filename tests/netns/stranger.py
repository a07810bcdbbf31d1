"""On a host of the LAN: an Exo that nobody named, which writes down every prompt that it gets.

`python -m tests.netns.stranger FILE` says `up`; it answers faster than any real Exo.
"""

import json
import sys
from pathlib import Path

import anyio

from exo_supervisor.demo import ExoNode
from exo_supervisor.demo.announce_c import AnnouncerC


async def main(file: Path) -> None:
    node = ExoNode("C", host="0.0.0.0", port=52415, pace=0.0)
    async with node, anyio.create_task_group() as tasks:
        tasks.start_soon(AnnouncerC(node).run)
        seen: object = None
        with file.open("a", encoding="utf-8") as heard:
            sys.stdout.write("up\n")
            sys.stdout.flush()
            while True:
                await anyio.sleep(0.002)
                if node.last_request is not seen:
                    seen = node.last_request
                    heard.write(json.dumps(seen) + "\n")
                    heard.flush()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
