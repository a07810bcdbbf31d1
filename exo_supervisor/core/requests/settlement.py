"""Books an attempt's begin, first content and end: what each says of its target, for all to come.

That is breakers, budgets, seats, busy marks, times, quirks, absences, declines and keys; and in the
request whom it has met. What it does next, `next_step` decides.
"""

from exo_supervisor.core.breakers.automaton import Mark
from exo_supervisor.core.breakers.table import Change, Failed, Key
from exo_supervisor.core.breakers.transitions import announced
from exo_supervisor.core.effects import Announce, Effect, ReadPlacement
from exo_supervisor.core.events import AttemptSettled, ContentSeen
from exo_supervisor.core.load.allowance import spent_for
from exo_supervisor.core.load.marks import PREFILL, THINKING, Slot
from exo_supervisor.core.names import Address, RequestId
from exo_supervisor.core.outcomes import CLOSED_AT_WORK, NO_FAULT, VERDICTS, Blame, Failure, Fault
from exo_supervisor.core.requests.candidate import Candidate, Permits
from exo_supervisor.core.requests.request import Attempt, HeldFailure, RequestState
from exo_supervisor.core.requests.spending import hold
from exo_supervisor.core.tables import Tables

_NO_PREFILL = frozenset({Fault.REJECTED, Fault.UNSUPPORTED, Fault.BEGAN_ANEW})
"""How a target says that it does not go on with what another began."""
_UNFIT = frozenset({Fault.CONTEXT_LENGTH, Fault.UNSUPPORTED})
"""Faults that all nodes of a cluster share."""
_OF_THE_MODEL = frozenset(
    {
        Fault.NOT_PLACED,
        Fault.CONTEXT_LENGTH,
        Fault.UNSUPPORTED,
        Fault.DECLINED,
        Fault.FIELD_REFUSED,
    }
)
"""Faults of one model at a target, which may have others for the request."""


class Settlement:
    """Writes the tables down; every permit that it hands out comes back to it once."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def begin(
        self, request: RequestId, candidate: Candidate, now: float, *, early: bool
    ) -> tuple[Permits, list[Effect]]:
        """Take both permits of a candidate and count the attempt in."""
        tables, permits = self._tables, candidate.unguarded
        effects: list[Effect] = []  # to call list[Effect] costs five times as much
        if tables.breakers.rows:
            target, model = candidate.guards
            at_target, first = tables.breakers.take(target, now, early=early)
            at_model, second = tables.breakers.take(model, now, early=early)
            permits = Permits((target, at_target), (model, at_model))
            effects = announced(now, first, second, by=request)
        tables.concurrency.acquire(candidate.target, candidate.seat_key)
        if tables.busy.marks:
            tables.busy.start(candidate.slot, now)
        return permits, effects

    def reserve(self, state: RequestState, attempt: Attempt, now: float) -> None:
        """Have budgets hold the most that an attempt at a cloud can cost."""
        number, candidate, counted = attempt.number, attempt.candidate, state.seen.counted
        attempt.reserved = hold(state.event, number, candidate, self._tables, now, counted=counted)
        state.seen.counted = True

    def content(
        self, state: RequestState, attempt: Attempt, event: ContentSeen, now: float
    ) -> list[Effect]:
        """Book the first content as success, and the held failures of others as failures."""
        attempt.content = True
        candidate, tables = attempt.candidate, self._tables
        effects: list[Effect] = []
        if tables.breakers.rows or state.held:
            effects = self._mark_content(state, attempt, now)
        if tables.busy.marks:
            tables.busy.lift(candidate.slot, attempt.began)
        if tables.declines.bodies:
            tables.declines.forget(candidate.pair)
        if state.left_out:
            self._note_quirks(state, candidate, now)
        tables.latency.observe(candidate.target, candidate.model, event.ttft, now)
        if state.event.session:
            tables.affinity.note(state.event, candidate, now)
        if candidate.provider is None:
            tables.prefill.observe(candidate.scope, candidate.model, state.event.size, event.ttft)
        else:
            tables.clouds.took_key(candidate.provider, candidate.key, attempt.began)
            if event.head is not None and attempt.streamed:
                tables.heads.observe(candidate.provider, event.head)
            if event.allowances:
                self._note_allowances(state, attempt, event, now)
        return effects

    def _note_quirks(self, state: RequestState, candidate: Candidate, now: float) -> None:
        """Remember without what a model answers, but for thoughts.

        Those of another conversation it may have signed.
        """
        for pair, field in state.left_out:
            if pair == candidate.pair and field != THINKING:
                self._tables.quirks.note(pair, field, now)

    def _note_allowances(
        self, state: RequestState, attempt: Attempt, event: ContentSeen, now: float
    ) -> None:
        """Leave a key alone that has nothing left, as if it had refused a request already."""
        candidate, tables = attempt.candidate, self._tables
        others = tables.concurrency.at[candidate.target] - 1
        rest = spent_for(event.allowances, others, state.event.size)
        if rest:
            tables.busy.note(candidate.slot, rest, attempt.began, now)

    def _mark_content(self, state: RequestState, attempt: Attempt, now: float) -> list[Effect]:
        breakers, permits = self._tables.breakers, attempt.permits
        target, model = attempt.candidate.guards
        attempt.owed = breakers.failures(target), breakers.failures(model)
        changes = [self._mark(permits.target, Mark.SUCCESS, now)]
        changes.append(self._mark(permits.model, Mark.SUCCESS, now))
        for held in state.held:  # only another's answer tells that the request was not to blame
            same = held.model[0] == permits.model[0]
            mark = Mark.ABANDONED if same else Mark.FAILURE
            changes.append(self._mark(held.model, mark, now, held.draw, held.failed))
        state.held = ()
        return announced(now, *changes, by=state.event.request)

    def settle(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        """Give both permits back with what the attempt says of each breaker."""
        candidate = attempt.candidate
        if self._tables.budgets.holds:
            self._tables.budgets.settle((event.request, event.attempt), event.cost or 0)
        self._tables.concurrency.release(candidate.target, candidate.seat_key)
        fault = event.failure.fault
        if fault is NO_FAULT and not self._tables.breakers.rows:
            return []
        effects = self._mark_end(state, attempt, event, now)
        if fault in CLOSED_AT_WORK:
            self._tables.registry.note_aborted(candidate.scope)
        return effects + self._learn(state, attempt, event.failure, now)

    def _mark_end(
        self, state: RequestState, attempt: Attempt, event: AttemptSettled, now: float
    ) -> list[Effect]:
        fault, draw = event.failure.fault, event.draw
        verdict = VERDICTS[fault]
        last = Failed(fault.value, event.failure.status, event.request, now)
        rest = Mark.SUCCESS if fault is NO_FAULT else Mark.ABANDONED
        target = Mark.FAILURE if verdict.blame is Blame.TARGET else rest
        owed_target, owed_model = attempt.owed
        first = self._mark(attempt.permits.target, target, now, draw, last, owed_target)
        model, second = attempt.permits.model, None
        if self._note_decline(attempt.candidate, event):
            most = self._tables.policy.rules.trip_after - 1
            second = self._mark(model, Mark.FAILURE, now, draw, last, most)
        elif verdict.blame is not Blame.MODEL:
            second = self._mark(model, rest, now, draw, last)
        elif event.committed or attempt.content:
            second = self._mark(model, Mark.FAILURE, now, draw, last, owed_model)
        else:
            state.held += (HeldFailure(attempt.candidate.scope, fault, model, draw, last),)
        return announced(now, first, second, by=event.request)

    def give_back(self, state: RequestState, now: float) -> list[Effect]:
        """Return the permits of failures that no other target outdid: they count nowhere."""
        changes = [self._mark(held.model, Mark.ABANDONED, now) for held in state.held]
        state.held = ()
        return announced(now, *changes, by=state.event.request)

    def _note_decline(self, candidate: Candidate, event: AttemptSettled) -> bool:
        """Count a request that a provider declined; True if so many in a row are its failure."""
        if event.failure.fault is not Fault.DECLINED:
            return False
        return self._tables.declines.note(candidate.pair, event.body)

    def _learn(
        self, state: RequestState, attempt: Attempt, failure: Failure, now: float
    ) -> list[Effect]:
        """Take in what an attempt's end says of its target beyond health."""
        candidate, fault, tables = attempt.candidate, failure.fault, self._tables
        if candidate.provider is not None:
            tables.clouds.attempted(candidate.provider, fault)
        if fault is Fault.BUSY:
            for slot in self._busy_slots(candidate, failure):
                tables.busy.note(slot, failure.retry_after, attempt.began, now)
                state.busy_tries += (slot,)
            return []
        if candidate.provider is not None:
            return self._learn_of_cloud(state, attempt, failure, now)
        if fault is Fault.CONTEXT_LENGTH:
            self._note_too_long(state, candidate)
        if VERDICTS[fault].blame is Blame.MODEL or fault in _UNFIT:
            state.seen.skipped |= {candidate.guards[1]}
        if VERDICTS[fault].blame is Blame.MODEL or fault in _OF_THE_MODEL:
            state.seen.unable |= {candidate.pair}
        else:
            state.seen.failed |= {candidate.target}
        if fault is not Fault.NOT_PLACED:
            return []
        tables.registry.unplace(Address(candidate.target), candidate.model, now)
        return [ReadPlacement(node=Address(candidate.target))]

    def _busy_slots(self, candidate: Candidate, failure: Failure) -> list[Slot]:
        """List what a busy answer speaks of: one key, or the target by whichever key.

        Providers limit an account, so a 429 leaves the other keys as they were, which may be of
        other accounts; where they are not, each of them costs one more attempt. One whose server
        has too much to do (503, 529, a full queue) would say so to all of them.
        """
        if failure.of_key or candidate.provider is None:
            return [candidate.slot]
        keys = self._tables.clouds.count_keys(candidate.provider)
        return [(*candidate.pair, key) for key in range(keys)]

    def _learn_of_cloud(
        self, state: RequestState, attempt: Attempt, failure: Failure, now: float
    ) -> list[Effect]:
        candidate, fault, tables = attempt.candidate, failure.fault, self._tables
        if self._ask_anew(state, attempt, failure):
            return []
        if fault is Fault.BAD_KEY:  # by another key it may serve this very request
            return self._refuse_key(candidate, failure, now)
        if fault in _OF_THE_MODEL:
            state.seen.unable |= {candidate.pair}
        else:
            state.seen.failed |= {candidate.target}
        if VERDICTS[fault].blame is Blame.MODEL:
            state.seen.skipped |= {candidate.guards[1]}
        if state.resuming and not attempt.content and fault in _NO_PREFILL:
            tables.quirks.note(candidate.pair, PREFILL, now)
        if tables.clouds.get(candidate.target) is None:
            return []
        if fault is Fault.NOT_PLACED:
            tables.absent.note(candidate.pair, state.seen.demands, now)
        elif fault is Fault.CONTEXT_LENGTH:
            self._note_too_long(state, candidate)
        return []

    def _refuse_key(self, candidate: Candidate, failure: Failure, now: float) -> list[Effect]:
        """Leave the key of an attempt alone; keys are told by their numbers, which begin at one."""
        keys = self._tables.clouds.count_keys(candidate.target)
        refused = self._tables.clouds.refused_key(
            candidate.target, candidate.key, now, failure.status, failure.loggable
        )
        if refused is None:
            return []
        facts: dict[str, object] = {"provider": candidate.target, "status": failure.status}
        facts |= {"number": candidate.key + 1, "of": keys, "rest": refused.rest}
        return [Announce(level="error", name="provider_key_refused", facts=facts)]

    def _note_too_long(self, state: RequestState, candidate: Candidate) -> None:
        """Keep a request from whoever takes no more than one that it did not fit into."""
        context = self._tables.context(candidate.provider, candidate.model)
        state.seen.too_short = max(state.seen.too_short, context)

    def _ask_anew(self, state: RequestState, attempt: Attempt, failure: Failure) -> bool:
        """Have a request made again at once, without the field that the target refused."""
        field = failure.field
        if failure.fault is not Fault.FIELD_REFUSED or not field or field in attempt.without:
            return False
        state.left_out |= {(attempt.candidate.pair, field)}
        state.anew = attempt.candidate, attempt.side
        state.attempts_here -= 1
        return True

    def _mark(
        self,
        permit: tuple[Key, int],
        mark: Mark,
        now: float,
        draw: float = 0.0,
        failed: Failed | None = None,
        owed: int = 0,
    ) -> Change | None:
        key, epoch = permit
        return self._tables.breakers.settle(key, epoch, mark, now, draw, failed=failed, owed=owed)
