"""Attempts without progress: the state is asked about them, and whom it disowns is ended.

Only of an Exo that has a state. By the clock alone `serve.timers` judges the others, and whoever
made no progress for as long as nobody is vouched for.
"""

from collections.abc import Iterator, Mapping
from math import inf

from msgspec import Struct

from exo_supervisor.core.effects import CancelAttempt, Effect, KeepAwake, ReadPlacement
from exo_supervisor.core.events import AttemptQuieted, PlacementRead
from exo_supervisor.core.fleet.members import MemberView
from exo_supervisor.core.fleet.nodes import Node
from exo_supervisor.core.names import Address, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.requests.request import Attempt, RequestState
from exo_supervisor.core.requests.vouching import Word, dies_with, is_dead, judge, judge_copies
from exo_supervisor.core.tables import Tables

TAKEN_UP = 1.0
"""Seconds after which the state shows a new request at work: workers plan ten times a second."""
SHARED = 5.0
"""Seconds for which a reading that vouched for one attempt saves another the question."""
WHOLE_STATE = 15.0
"""The same where a reading is the whole state, prompts included (before 1.0.70)."""


class Silence(Struct):
    """One attempt that makes no progress, as far as was told.

    `told_at` is when it was told of last, `since` when its silence began; `asked_at` is the oldest
    question that no reading has answered yet.
    """

    attempt: Attempt
    since: float
    told_at: float
    asked_at: float | None = None
    idle_since: float | None = None
    vouched_at: float = -inf


class StallCheck:
    """Owns the silences; each leaves with its attempt's first content or end."""

    def __init__(self, tables: Tables, requests: Mapping[RequestId, RequestState]) -> None:
        self._tables, self._flights = tables, requests
        self.silences: dict[RequestId, Silence] = {}

    def quieted(self, attempt: Attempt, event: AttemptQuieted, now: float) -> list[Effect]:
        """Ask the state about an attempt at a node; end it if nobody vouches for it."""
        node = self._tables.registry.nodes.get(Address(attempt.candidate.target))
        if node is None or node.node_id != attempt.node_id:
            return [_cancel(event.request, attempt, Fault.STATE_LOST)]
        if is_dead(node):
            return [_cancel(event.request, attempt, Fault.RESET)]
        silence = self._note(attempt, event, now)
        if event.silence >= _patience(attempt, begun=event.begun) and _is_unread(silence, node):
            fault = Fault.STALL if event.begun else Fault.FIRST_CONTENT_TIMEOUT
            return [_cancel(event.request, attempt, fault)]
        whole = node.peer.has_state and not node.state_paths
        pause = WHOLE_STATE if whole else SHARED
        if now - silence.vouched_at < pause:
            return _vouch(event.request, attempt)
        if silence.asked_at is None:
            silence.asked_at = now
        if pause == WHOLE_STATE and node.view is not None and now - node.view.read_at < pause:
            return []  # it is asked for again, soon enough
        return [ReadPlacement(node=node.address)]

    def forget(self, request: RequestId) -> None:
        """Ask no more: the attempt made progress, or is over."""
        self.silences.pop(request, None)

    def state_read(self, event: PlacementRead, now: float) -> list[Effect]:
        """End the attempts at a node whose state does not vouch for them."""
        node = self._tables.registry.nodes.get(event.node)
        if node is None or node.view is None:
            return []
        asked = now if event.asked_at is None else event.asked_at
        effects: list[Effect] = []
        for request, silence in list(self.silences.items()):
            if silence.attempt.candidate.target == event.node and silence.told_at <= asked:
                effects += self._judge(request, silence, node.view, event, now)
        return effects

    def died(self, node: Node) -> list[Effect]:
        """End what waits at a node that is dead for certain, and what cannot finish without it."""
        registry = self._tables.registry
        cluster = None if node.cluster is None else registry.clusters[node.cluster]
        effects: list[Effect] = []
        for request, attempt in self._attempts():
            if attempt.candidate.target == node.address:
                fault = Fault.RESET
            elif dies_with(attempt, node, cluster):
                fault = Fault.STATE_LOST
            else:
                continue
            effects.append(_cancel(request, attempt, fault, unless_after=node.missing_since))
        return effects

    def _note(self, attempt: Attempt, event: AttemptQuieted, now: float) -> Silence:
        since = now - event.silence
        silence = self.silences.get(event.request)
        if silence is None or silence.since < since:  # it went on meanwhile
            silence = self.silences[event.request] = Silence(attempt, since, now)
        silence.told_at = now
        return silence

    def _judge(
        self,
        request: RequestId,
        silence: Silence,
        view: MemberView,
        event: PlacementRead,
        now: float,
    ) -> list[Effect]:
        """Take one attempt's word from the state of the member that holds its stream."""
        attempt, silence.asked_at = silence.attempt, None
        same = self._tables.registry.nodes[event.node].node_id == attempt.node_id
        word = judge(attempt, view, event) if same else Word.LOST
        if word is Word.VOUCHED:
            silence.vouched_at, silence.idle_since = now, None
            return _vouch(request, attempt)
        if word is Word.IDLE:
            if silence.idle_since is None:
                silence.idle_since = silence.told_at
            if now - silence.idle_since < self._tables.policy.waits.idle:
                return []
        ended = {request: attempt, **dict(self._alike(attempt, word, view))}
        for gone in ended:
            self.forget(gone)
        return [_cancel(gone, its, Fault.STATE_LOST) for gone, its in ended.items()]

    def _alike(
        self, attempt: Attempt, word: Word, view: MemberView
    ) -> Iterator[tuple[RequestId, Attempt]]:
        """Find those that wait for the same model in vain, whether or not they were asked about."""
        candidate, before = attempt.candidate, view.read_at - TAKEN_UP
        for request, its in self._attempts():
            here = its.candidate.target == candidate.target or not view.lags
            same = (its.candidate.scope, its.candidate.model) == (candidate.scope, candidate.model)
            waits = its.began <= before and not its.content
            if here and same and waits and judge_copies(its, view) is word:
                yield request, its

    def _attempts(self) -> Iterator[tuple[RequestId, Attempt]]:
        for request, state in self._flights.items():
            if state.attempt is not None:
                yield request, state.attempt


def _is_unread(silence: Silence, node: Node) -> bool:
    """Say whether the last question went unanswered, and not only because a reading takes long."""
    missed = node.misses > 0 and node.why != "timeout"  # of those the state is not asked for
    return silence.asked_at is not None and (node.unread is not None or missed)


def _patience(attempt: Attempt, *, begun: bool) -> float:
    """Tell for how long an attempt may be silent for which nobody vouches."""
    return attempt.timers.stall if begun else attempt.timers.first_content


def _vouch(request: RequestId, attempt: Attempt) -> list[Effect]:
    if not attempt.content:  # who waits for a first content is kept awake anyhow
        return []
    return [KeepAwake(request=request, attempt=attempt.number)]


def _cancel(
    request: RequestId, attempt: Attempt, fault: Fault, *, unless_after: float | None = None
) -> CancelAttempt:
    return CancelAttempt(
        request=request, attempt=attempt.number, fault=fault, unless_after=unless_after
    )
