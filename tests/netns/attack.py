"""On a host of the LAN: says whatever may lead a supervisor astray, in every generation's way.

`python -m tests.netns.attack SUBNET OWN` runs until it is killed. Each way names one address of
the LAN that nothing else names, so that who listens can be seen to, and many that are elsewhere.
"""

import json
import random
import socket
import struct
import sys
from ipaddress import IPv4Address

import anyio
from aiohttp import web

from exo_supervisor.demo.announce_b import GROUP as MDNS
from exo_supervisor.demo.announce_b import PORT as MDNS_PORT
from exo_supervisor.demo.announce_b import answer
from exo_supervisor.demo.announce_c import AnnouncerC
from exo_supervisor.demo.cluster import Member

NODE_ID = "bad0bad0"
PEER = "12D3KooW" + "A" * 44
ELSEWHERE = ["8.8.8.8", "192.168.77.7", "172.16.1.1", "10.1.2.3", "100.64.0.9", "169.254.7.7"]
BY_BROADCAST, BY_MDNS, BY_STATE = 252, 251, 250
"""The hosts that only one way tells of."""
LEGACY = json.dumps(
    {
        "type": "discovery",
        "node_id": "x",
        "grpc_port": 1,
        "device_capabilities": {"model": "m", "chip": "c", "memory": 1},
    }
).encode()


def mutated(data: bytes) -> bytes:
    """Change a few bytes, or none."""
    changed = bytearray(data)
    for _ in range(random.choice([0, 0, 1, 3])):  # noqa: S311 - no secret
        changed[random.randrange(len(changed))] = random.randrange(256)  # noqa: S311
    return bytes(changed)


def spoofed(source: str, to: str, payload: bytes) -> bytes:
    """Write an IPv4 packet with a UDP datagram for port 5678; the kernel fills the checksum in."""
    udp = struct.pack("!4H", 5678, 5678, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    return head + IPv4Address(source).packed + IPv4Address(to).packed + udp


async def broadcasts(subnet: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        while True:
            for source in (*ELSEWHERE, f"{subnet}.{BY_BROADCAST}"):
                for payload in (LEGACY, mutated(LEGACY)):
                    raw.sendto(spoofed(source, f"{subnet}.255", payload), (f"{subnet}.255", 0))
            await anyio.sleep(0.05)


async def mdns(subnet: str, own: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((own, 0))
        while True:
            for ip in (*ELSEWHERE, f"{subnet}.{BY_MDNS}"):
                packet = answer(0, [f"/ip4/{ip}/tcp/41355/p2p/{PEER}"])
                for payload in (packet, mutated(packet)):
                    sender.sendto(payload, (MDNS, MDNS_PORT))
            await anyio.sleep(0.05)


class Api(Member):
    """What is announced by multicast, and answers as a node of generation C whose state lies."""

    def __init__(self, subnet: str) -> None:
        super().__init__()
        self.node_id = NODE_ID
        told = [*ELSEWHERE, f"{subnet}.{BY_STATE}"]
        faces = {str(n): {"interfaces": [{"ipAddress": ip}]} for n, ip in enumerate(told)}
        ports = (22, 6379, 9100, 52415)
        edges = [
            {"sinkMultiaddr": {"address": f"/ip4/{ip}/tcp/{port}"}} for ip in told for port in ports
        ]
        self._says = {
            "/node_id": NODE_ID,
            "/state/nodeNetwork": faces,
            "/state/topology": {"nodes": [NODE_ID], "connections": {NODE_ID: {"y": edges}}},
            "/state/instances": {},
            "/state/runners": {},
            "/state/lastEventAppliedIdx": 7,
        }

    async def serve(self) -> None:
        """Answer until cancelled."""

        async def say(request: web.BaseRequest) -> web.StreamResponse:
            if request.path not in self._says:
                return web.Response(status=404)
            return web.json_response(self._says[request.path])

        runner = web.ServerRunner(web.Server(say))
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 52415).start()
        sys.stdout.write("up\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


async def main(subnet: str, own: str) -> None:
    api = Api(subnet)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(api.serve)
        tasks.start_soon(AnnouncerC(api).run)
        tasks.start_soon(broadcasts, subnet)
        tasks.start_soon(mdns, subnet, own)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
