"""Generation B's way to find its peers: multicast DNS as libp2p-mdns 0.48 writes it, by hand."""

import secrets
import socket
import string
import struct
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import anyio

from exo_supervisor.demo.cluster import Member
from exo_supervisor.demo.links import links

GROUP, PORT = "224.0.0.251", 5353
SERVICE = ("_p2p", "_udp", "local")
ENUMERATION = ("_services", "_dns-sd", "_udp", "local")
TTL = 2500
FIRST_PAUSE = 0.5
SLOWEST = 1500.0
LISTEN_PORT = 41355

_PTR, _TXT, _IN, _FLUSH = 12, 16, 1, 0x8001
_RESPONSE = 0x8400
_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")
_LONGEST = 4096
_LETTERS = string.ascii_letters + string.digits

Name = tuple[str, ...]


class AnnouncerB:
    """Asks for peers, ever more slowly until one answers, and answers all who ask, itself too.

    `peers` maps the id of each that was heard to the addresses it listens on. Without names of
    `interfaces` the loopback is left out, as in the real program.
    """

    def __init__(
        self, node: Member, *, interfaces: Sequence[str] = (), listen_port: int = LISTEN_PORT
    ) -> None:
        self.node, self.interfaces, self.listen_port = node, interfaces, listen_port
        self.peers: dict[str, set[str]] = {}

    async def run(self) -> None:
        """Ask and answer until cancelled, on the interfaces that there are at the start."""
        found = links(self.interfaces)
        chosen = {n: a for n, a in found.items() if self.interfaces or not a.startswith("127.")}
        async with anyio.create_task_group() as tasks:
            for address in chosen.values():
                tasks.start_soon(self._attend, address)

    async def _attend(self, address: str) -> None:
        with ExitStack() as open_sockets:
            listener = open_sockets.enter_context(_listener(address))
            sender = open_sockets.enter_context(_sender(address))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._ask, sender)
                while True:
                    await anyio.wait_readable(listener)
                    self._hear(listener.recv(_LONGEST), sender)

    async def _ask(self, sender: socket.socket) -> None:
        pause = FIRST_PAUSE
        while True:
            _send(sender, query(secrets.randbits(16)))
            await anyio.sleep(pause)
            pause = SLOWEST if self.peers else min(2 * pause, SLOWEST)

    def _hear(self, packet: bytes, sender: socket.socket) -> None:
        """Read one packet; whatever is none costs nothing."""
        try:
            identity, response, questions, texts = read(packet)
        except (IndexError, struct.error, UnicodeDecodeError):
            return
        if response:
            self._meet(texts)
        elif SERVICE in questions:
            _send(sender, answer(identity, self._listens()))
        elif ENUMERATION in questions:
            _send(sender, enumeration(identity))

    def _meet(self, texts: list[bytes]) -> None:
        for text in texts:
            address, _, who = text.decode("ascii", "replace").rpartition("/p2p/")
            if address.startswith("dnsaddr=") and who != self.node.node_id:
                self.peers.setdefault(who, set()).add(address.removeprefix("dnsaddr="))
                self.node.stir()

    def _listens(self) -> list[str]:
        """Name every address of this machine, as a program that listens on all of them."""
        addresses = dict.fromkeys(["127.0.0.1", *links().values()])
        return [f"/ip4/{a}/tcp/{self.listen_port}/p2p/{self.node.node_id}" for a in addresses]


def query(identity: int) -> bytes:
    """Write the 33 bytes that ask everyone."""
    return _HEADER.pack(identity, 0, 1, 0, 0, 0) + _name(SERVICE) + struct.pack("!HH", _PTR, _IN)


def answer(identity: int, addresses: Sequence[str]) -> bytes:
    """Write an answer: one PTR to a new random name at the root, and a TXT of it per address."""
    label = "".join(secrets.choice(_LETTERS) for _ in range(32 + secrets.randbelow(32)))
    name = _name((label,))
    texts = [f"dnsaddr={address}".encode() for address in addresses]
    return (
        _HEADER.pack(identity, _RESPONSE, 0, 1, 0, len(texts))
        + _record(_name(SERVICE), _PTR, _IN, name)
        + b"".join(_record(name, _TXT, _FLUSH, bytes([len(t)]) + t) for t in texts)
    )


def enumeration(identity: int) -> bytes:
    """Write the answer to the question which services there are."""
    head = _HEADER.pack(identity, _RESPONSE, 0, 1, 0, 0)
    return head + _record(_name(ENUMERATION), _PTR, _IN, _name(SERVICE))


def read(packet: bytes) -> tuple[int, bool, list[Name], list[bytes]]:
    """Read a packet's id, if it is a response, the names it asks for, and its TXT strings.

    Raises IndexError, struct.error or UnicodeDecodeError.
    """
    identity, flags, *counts = _HEADER.unpack_from(packet)
    at, questions, texts = _HEADER.size, list[Name](), list[bytes]()
    for _ in range(counts[0]):
        name, at = _read_name(packet, at)
        questions.append(name)
        at += 4
    for _ in range(sum(counts[1:])):
        _, at = _read_name(packet, at)
        kind, _, _, length = _RECORD.unpack_from(packet, at)
        at += _RECORD.size
        if kind == _TXT:
            texts.append(packet[at + 1 : at + 1 + packet[at]])
        at += length
    return identity, bool(flags & 0x8000), questions, texts


def _read_name(packet: bytes, at: int) -> tuple[Name, int]:
    """Read a name, which may end in a pointer to an earlier one; return it and where it ends."""
    labels: list[str] = []
    lowest, end = at, 0
    while length := packet[at]:
        if length >= 0xC0:  # noqa: PLR2004 - RFC 1035, section 4.1.4
            end, at = end or at + 2, (length & 0x3F) << 8 | packet[at + 1]
            if at >= lowest:
                raise IndexError("a pointer that does not lead back")
            lowest = at
            continue
        labels.append(packet[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return tuple(labels), end or at + 1


def _name(labels: Name) -> bytes:
    return b"".join(bytes([len(each)]) + each.encode() for each in labels) + b"\0"


def _record(owner: bytes, kind: int, class_: int, data: bytes) -> bytes:
    return owner + _RECORD.pack(kind, class_, TTL, len(data)) + data


def _listener(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.settimeout(0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("0.0.0.0", PORT))  # noqa: S104 - a group's datagrams reach no other address
    member = socket.inet_aton(GROUP) + socket.inet_aton(address)
    listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    return listener


def _sender(address: str) -> socket.socket:
    """Send from the interface's address and a port of its own, never from 5353."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.settimeout(0)
    sender.bind((address, 0))
    return sender


def _send(sender: socket.socket, packet: bytes) -> None:
    with suppress(OSError):  # the interface is down: the next question may find it up
        sender.sendto(packet, (GROUP, PORT))
