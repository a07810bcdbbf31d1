"""An Exo of another user: `python -m tests.hostile.other_user UID PORT` prints what it was asked.

It says its URL once it is up, and then the path of each request.
"""

import os
import sys

import anyio

from exo_supervisor.demo import ExoNode


async def main(user: int, port: int) -> None:
    os.setuid(user)
    async with ExoNode("C", pace=0.0, port=port) as node:
        sys.stdout.write(f"{node.url}\n")
        sys.stdout.flush()
        told = 0
        while True:
            await anyio.sleep(0.05)
            asked = sum(node.requests.values())
            if asked != told:
                told = asked
                sys.stdout.write(f"asked {dict(node.requests)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]), int(sys.argv[2]))
