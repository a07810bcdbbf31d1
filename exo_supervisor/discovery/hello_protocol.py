"""What is said on one link: when a Hello is worth a question, and what answers one.

Exo says Hello each second, which names nobody, and answers a Hello with its id.
"""

from collections import deque
from ipaddress import IPv6Address

from msgspec import Struct

from exo_supervisor.core.bounded import Bounded
from exo_supervisor.core.names import NodeId
from exo_supervisor.discovery.group import PORT
from exo_supervisor.discovery.namespaces import Namespaces
from exo_supervisor.wire.exo.hello import Hello, encode_hello, read_hello, read_whats_up

GAP = 0.5
"""Seconds between two questions on one link, however many say Hello."""
PAUSE = 3.0
"""Seconds of silence after which a Hello may be another node's."""
MOST_VOICES = 256
"""Sources that are remembered per link; beyond that the one silent for longest is forgotten."""

_TRIES = 3
_NONCES = 4


class Answer(Struct, frozen=True):
    """Who answered, and from which address."""

    node_id: NodeId
    source: IPv6Address


class _Voice(Struct):
    heard: float
    answered: bool = False
    asked: int = 0


class HelloProtocol:
    """One link's tables; datagrams and instants come in, datagrams and answers go out."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self._nonces: deque[bytes] = deque(maxlen=_NONCES)
        self._voices = Bounded[IPv6Address, _Voice](MOST_VOICES)
        self._asked = -GAP

    def __len__(self) -> int:
        return len(self._voices)

    def question(self, nonce: bytes, now: float) -> list[bytes]:
        """Return the Hellos that ask everybody, one for each namespace."""
        self._asked = now
        self._nonces.append(nonce)
        return [encode_hello(Hello(nonce, each)) for each in self._namespaces.now(now)]

    def hear(self, datagram: bytes, source: IPv6Address, port: int, now: float) -> bool:
        """Take what was said to the group; tell whether it is worth a question at once.

        A Hello from another port than Exo's is a question like ours, and questions that lead to
        questions would never end.
        """
        hello = read_hello(datagram)
        if hello is None or port != PORT:
            return False
        self._namespaces.overhear(hello.namespace, now)
        voice = self._voice(source, now)
        if voice.answered or voice.asked >= _TRIES or now - self._asked < GAP:
            return False
        voice.asked += 1
        return True

    def answer(self, datagram: bytes, source: IPv6Address, now: float) -> Answer | None:
        """Read an answer to one of the last questions; anything else is None."""
        answer = read_whats_up(datagram)
        if answer is None or answer.nonce not in self._nonces:
            return None
        self._voice(source, now).answered = True
        return Answer(answer.node_id, source)

    def _voice(self, source: IPv6Address, now: float) -> _Voice:
        voice = self._voices.get(source)
        if voice is None or now - voice.heard >= PAUSE:
            voice = _Voice(now)
        voice.heard = now
        self._voices.renew(source, voice)
        return voice
