"""What a cluster's state says of the cluster itself, beside its models.

Exo's own dashboard shows none of this: a state that stands still (Exo 1823, 2094, 2112), an
election that dropped every instance, runners that die and are born without end (Exo 1934).
"""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field, structs

from exo_supervisor.core.effects import Announce, say
from exo_supervisor.core.events import PlacementRead
from exo_supervisor.core.fleet.members import MemberView, Verdict, instance_ids, stood_for
from exo_supervisor.core.fleet.placed import Instance, Placed
from exo_supervisor.core.names import Address, ClusterKey, InstanceId, ModelId, NodeId

CALM = 120.0
"""Seconds without a new orphan after which runners no longer churn: entries of old ones linger."""
GROWTHS = 2
"""Readings with new orphans that make a churn: taking an instance away makes one."""


class Pending(Struct, frozen=True):
    """How a model that is not ready stands, and since when it has stood so."""

    why: str
    progress: str | None
    since: float
    told: bool = False


class Condition(Struct):
    """What is remembered from one reading of a state to the next; all values are replaced whole.

    `frozen`: every member stands still. `churned` are the instances that runner churn took.
    `lost` are the models that stood before an election, at `elected_at`, and do not stand again.
    `aborted` are the answers of this session that were closed before their end: Exo keeps their
    prompts in its state until the next one.
    """

    frozen: bool = False
    orphans: frozenset[str] = frozenset()
    growths: int = 0
    grew_at: float = 0.0
    churned: frozenset[InstanceId] = frozenset()
    elected_at: float | None = None
    lost: frozenset[ModelId] = frozenset()
    ghosts: int = 0
    aborted: int = 0
    pending: Mapping[ModelId, Pending] = field(default_factory=dict[ModelId, Pending])

    def take(
        self, before: "Told", event: PlacementRead, verdict: Verdict, now: float
    ) -> Iterator[Announce]:
        """Take in what a member told, and say what it tells of the cluster."""
        stands = verdict.truth.models
        self.lost = self.lost.difference(stands)
        if verdict.elected:
            yield self._elected(before, event.index, stands, now)
        yield from self._froze(before.cluster, verdict, now)
        if verdict.truth is verdict.views.get(event.node):
            ids = instance_ids(stands)
            yield from self._churn(event, ids, before.cluster, now, first=before.first)

    def _elected(
        self, before: "Told", index: int | None, stands: Mapping[ModelId, Placed], now: float
    ) -> Announce:
        gone = frozenset(before.models).difference(stands)
        self.elected_at, self.lost = now, self.lost | gone
        self.aborted = 0
        return say(
            "warning", "cluster_re_elected", cluster=before.cluster, models_lost=len(gone),
            index_before=before.index, index_after=index,
        )  # fmt: skip

    def _froze(self, cluster: str, verdict: Verdict, now: float) -> Iterator[Announce]:
        """Take in whether every member stands still; one alone is only a laggard."""
        was, self.frozen = self.frozen, all(view.still for view in verdict.views.values())
        index = verdict.truth.index
        if self.frozen and not was:
            stood = min(stood_for(view, now) for view in verdict.views.values())
            since = {"for": round(stood, 1)}
            yield say("warning", "cluster_frozen", cluster=cluster, index=index, **since)
        elif was and not self.frozen:
            yield say("info", "cluster_thawed", cluster=cluster, index=index)

    def _churn(
        self,
        event: PlacementRead,
        ids: frozenset[InstanceId],
        cluster: str,
        now: float,
        *,
        first: bool,
    ) -> Iterator[Announce]:
        orphans = frozenset(event.orphans)
        grew = not first and not orphans <= self.orphans
        self.orphans = orphans
        if grew:
            self.growths, self.grew_at = self.growths + 1, now
        if len(orphans) <= event.runners or now - self.grew_at >= CALM:
            self.growths, self.churned = 0, frozenset()
        elif grew and self.growths >= GROWTHS:
            began, self.churned = not self.churned, ids
            if began and ids:
                many = {"orphans": len(orphans), "runners": event.runners}
                yield say("warning", "runner_churn_seen", cluster=cluster, **many)

    def wait(self, models: Mapping[ModelId, Placed], now: float) -> None:
        """Note how the models that are not ready stand."""
        self.pending = {
            model: self._pending(model, placed, now)
            for model, placed in models.items()
            if not placed.ready
        }

    def _pending(self, model: ModelId, placed: Placed, now: float) -> Pending:
        was = self.pending.get(model)
        if was is not None and (was.why, was.progress) == (placed.why, placed.progress):
            return was
        return Pending(placed.why, placed.progress, now)


class Told(Struct, frozen=True):
    """What a cluster told last; `first`: it has told nothing yet."""

    cluster: ClusterKey
    index: int | None
    models: Mapping[ModelId, Placed]
    first: bool


class Reading(Struct, frozen=True):
    """What is to be said of a reading; `ask` names members that are to be read at once."""

    said: tuple[Announce, ...] = ()
    ask: tuple[Address, ...] = ()


def tell_lag(
    node: Address, cluster: str, before: MemberView | None, view: MemberView, now: float
) -> Iterator[Announce]:
    """Say that a member fell behind the others, or has caught up with them."""
    fell, was = _is_late(view), before is not None and _is_late(before)
    if fell and not was:
        lag = {"behind": view.behind, "still_for": round(stood_for(view, now), 1)}
        yield say("info", "node_fell_behind", node=node, cluster=cluster, **lag)
    elif was and not view.lags:
        yield say("info", "node_caught_up", node=node, cluster=cluster)


def _is_late(view: MemberView) -> bool:
    """Say whether a member lags for sure: one that fell just now may be the first of all."""
    return view.lags and view.fell_at != view.read_at


def judge(told: Placed, condition: Condition, ails: Callable[[NodeId], str | None]) -> Placed:
    """Say how a model stands for us: as the state tells it, unless we know better."""
    if not told.instances:
        frozen = structs.replace(told, ready=False, why="state_frozen", progress=None)
        return frozen if condition.frozen else told
    instances = tuple(_judge(one, condition, ails) for one in told.instances)
    best = max(instances, key=lambda one: (one.ready, one.progress is not None))
    return Placed(told.model, best.ready, best.why, best.progress, instances, best.detail)


def _judge(one: Instance, condition: Condition, ails: Callable[[NodeId], str | None]) -> Instance:
    ill = next(filter(None, map(ails, one.hosts)), None)
    if condition.frozen:
        why = "state_frozen"
    elif ill is not None:
        why = ill
    elif one.id in condition.churned:
        why = "runner_churn"
    else:
        return one
    return Instance(one.id, ready=False, why=why, hosts=one.hosts, running=one.running)
