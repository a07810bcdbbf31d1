"""Reads what strace wrote of a process: whom it connected to, and every byte to every socket.

It looks from the kernel's side, so that nothing in the process (uvloop, a thread, a library in C)
can write past it. Each thread has a file of its own, whose lines are whole.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

STRACE = (
    "strace", "-ff", "-qq", "-yy", "-xx", "--seccomp-bpf", "-s", "1048576",
    "-e", "trace=%network,write,writev,pwrite64,pwritev,pwritev2,sendfile,splice,io_uring_setup",
    "-e", "inject=io_uring_setup:error=ENOSYS",
)  # fmt: skip
"""Follows threads, names the ends of sockets, and writes texts whole, in hexadecimal.

A ring would let calls be made that nobody sees, so that the kernel has none.
"""
UNSEEN = ("sendfile", "splice")
"""Calls that move bytes without showing them."""

_LINE = re.compile(r"(?P<call>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+)?.*", re.DOTALL)
_SOCKET = re.compile(r"\d+<(?P<kind>TCP|TCPv6|UDP|UDPv6|UNIX[A-Z-]*):\[(?P<ends>[^\]]*)[^>]*>, ")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_SENDS = ("write", "writev", "sendto", "sendmsg", "sendmmsg", "pwrite64", "pwritev", "pwritev2")


class Traced(Struct, frozen=True):
    """What one process did: the TCP peers it tried to reach, and what was written to whom.

    `written` has all bytes of each connection in their order; `unseen` are calls that hide them.
    """

    reached: frozenset[str]
    written: dict[str, bytes]
    unseen: tuple[str, ...]

    def peers_told(self, words: bytes) -> set[str]:
        """Name everybody to whom a connection carried these bytes; of TCP it is `ip:port`."""
        return {_peer(ends) for ends, data in self.written.items() if words in data}


def read_trace(files: list[Path]) -> Traced:
    """Read the files of all threads; raises AssertionError for a line that is not understood."""
    reached, written, unseen = set[str](), dict[str, bytes](), list[str]()
    for line in _lines(files):
        call, socket = line["call"], _SOCKET.match(line["rest"])
        unseen += [call] if call in UNSEEN else []
        if socket is None:
            continue
        if call == "connect" and socket["kind"].startswith("TCP"):
            reached.add(_address(line["rest"]))
        if call in _SENDS:
            ends = f"{socket['kind']} {socket['ends']}"
            if "->" not in ends and socket["kind"].startswith("UDP"):
                ends += f"->{_address(line['rest'])}"
            written[ends] = written.get(ends, b"") + b"".join(_texts(line["rest"]))
    return Traced(frozenset(reached), written, tuple(unseen))


def _lines(files: list[Path]) -> Iterator[re.Match[str]]:
    for file in files:
        for line in file.read_text().splitlines():
            if line.startswith(("+++", "---")) or "(" not in line:
                continue
            match = _LINE.fullmatch(line)
            if match is None and ("= ?" in line or line.endswith("<unfinished ...>")):
                continue  # it was cut off by the end of the process
            assert match is not None, line[:200]
            yield match


def _texts(rest: str) -> Iterator[bytes]:
    for text, cut in _TEXT.findall(rest):
        assert not cut, "a text was not written whole"
        yield bytes.fromhex(text.replace("\\x", ""))


def _address(rest: str) -> str:
    [port] = _PORT.findall(rest) or ["?"]
    return f"{next(_texts(rest.partition('sa_family')[2])).decode()}:{port}"


def _peer(ends: str) -> str:
    return ends.rpartition("->")[2] if ends.startswith(("TCP", "UDP")) else ends
