"""One answer across the targets that give parts of it, for a model that may be continued."""

import msgspec
from msgspec import Struct, structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.outcomes import Fault, Refusal
from exo_supervisor.serve.attempt import Attempt
from exo_supervisor.wire.chat.continuation import Splice, Transcript, go_on
from exo_supervisor.wire.chat.request import ChatRequest
from exo_supervisor.wire.dialect import Reply


class Joint(Struct, frozen=True):
    """Where another target went on: who, and after how many pieces of the answer."""

    target: str
    after: int


class Broken(Struct, frozen=True):
    """Who broke an answer off, why, and after how many pieces of it."""

    target: str
    fault: Fault
    pieces: int

    def refusal(self) -> Refusal:
        """Say so to the client, which has a part of it."""
        after = f"after {self.pieces} pieces of its answer"
        if self.fault is Fault.DEADLINE:
            text = f"the deadline passed {after}: this answer is not whole"
            return Refusal(504, "deadline", text, outcome="abandoned")
        text = f"{self.target} broke off {after} ({self.fault.value}): this answer is not whole"
        return Refusal(502, "attempts_failed", text, outcome="failure")


class Continuation:
    """Takes down what a client that streams is told, and asks the next target for the rest."""

    def __init__(self, chat: ChatRequest) -> None:
        self._chat = chat
        self._told: Transcript | None = None
        self._joints: list[Joint] = []
        self._broken: Broken | None = None

    def __len__(self) -> int:
        return len(self._joints)

    def ask(self, start: StartAttempt) -> ChatRequest:
        """Return what an attempt is to ask for: all of the answer, or what is left of it."""
        if not start.resumes:  # what an attempt said before its commit never reached the client
            self._told = Transcript() if start.continues and self._chat.stream else None
        if not start.resumes or self._told is None:
            return self._chat
        self._joints.append(Joint(start.target, self._told.pieces))
        return go_on(self._chat, self._told) or self._chat

    def seam(self, start: StartAttempt) -> Splice | None:
        """Return what joins an attempt's answer to what the client was told."""
        return Splice(self._told.text()) if start.resumes and self._told is not None else None

    def before(self) -> int:
        """Return how many pieces the client has of the targets before this one."""
        return self._joints[-1].after if self._joints else 0

    def follow(self, reply: Reply, *, joined: bool) -> Reply:
        """Have what an attempt tells taken down, and its last chunk say where it was joined."""
        mark = b""
        if self._joints:
            mark = b',"supervisor":{"continued":%b}' % msgspec.json.encode(self._joints)
        return structs.replace(reply, joined=joined, transcript=self._told, mark=mark)

    def broken(self, last: Broken, *, spoke: bool) -> Broken:
        """Tell who broke the answer off: not one who would not go on with it, and never `spoke`."""
        if last.fault in (Fault.CLIENT_LEFT, Fault.DEADLINE):
            return last
        if self._broken is None or spoke:
            self._broken = last
        return self._broken

    def possible(self) -> bool:
        """Say whether another target could go on from here."""
        return self._told is not None and go_on(self._chat, self._told) is not None


def broken_by(attempt: Attempt, fault: Fault, continuation: Continuation | None) -> Broken:
    """Tell who broke an answer off, should nobody go on with it."""
    relay = attempt.relay
    pieces = 0 if relay.reading is None else relay.reading.tokens
    broken = Broken(attempt.start.target, fault, pieces)
    if continuation is None or not relay.committed:
        return broken
    return continuation.broken(broken, spoke=relay.ttft is not None)
