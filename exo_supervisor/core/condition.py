"""What a cluster's state says of the cluster itself, beside its models.

Exo's own dashboard shows none of this: a state that stands still (Exo 1823, 2094, 2112), an
election that dropped every instance, runners that die and are born without end (Exo 1934).
"""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field, structs

from exo_supervisor.core.clusters import Grouping
from exo_supervisor.core.effects import Announce
from exo_supervisor.core.events import Instance, Placed, PlacementRead
from exo_supervisor.core.names import InstanceId, ModelId, NodeId

STILL = 8.0
"""Seconds without one new event after which a state stands still: a healthy node makes one each."""
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

    `highest` is the newest event heard of. `churned` are the instances that runner churn took.
    `lost` are the models that stood before an election, at `elected_at`, and do not stand again.
    `aborted` are the answers of this session that were closed before their end: Exo keeps their
    prompts in its state until the next one.
    """

    highest: int | None = None
    moved_at: float = 0.0
    unmoved: int = 0
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
        self, before: "Told", event: PlacementRead, cluster: str, now: float
    ) -> Iterator[Announce]:
        """Take a reading in, and say what it tells of the cluster."""
        stands = {placed.model: placed for placed in event.models}
        ids = instance_ids(stands)
        yield from self._elected(before, event.index, stands, cluster, now)
        if event.index is not None:
            yield from self._moved(event.index, cluster, now, placed=bool(stands))
        yield from self._churn(event, ids, cluster, now, first=before.first)

    def _elected(
        self,
        before: "Told",
        index: int | None,
        stands: Mapping[ModelId, Placed],
        cluster: str,
        now: float,
    ) -> Iterator[Announce]:
        self.lost = self.lost.difference(stands)
        if before.index is None or index is None or index >= before.index:
            return
        old = instance_ids(before.models)
        replaced = bool(old) and old.isdisjoint(instance_ids(stands))
        if not replaced and not fell(before.index, index):
            return
        gone = frozenset(before.models).difference(stands)
        self.elected_at, self.lost, self.highest = now, self.lost | gone, None
        self.aborted = 0
        facts: dict[str, object] = {"cluster": cluster, "models_lost": len(gone)}
        facts |= {"index_before": before.index, "index_after": index}
        yield Announce(level="warning", name="cluster_re_elected", facts=facts)

    def _moved(self, index: int, cluster: str, now: float, *, placed: bool) -> Iterator[Announce]:
        """Compare with the newest event that any member told of; members lag by a few.

        One that lags behind it may be stuck alone: only a second such reading in a row tells.
        """
        facts: dict[str, object] = {"cluster": cluster, "index": index}
        if self.highest is None or index > self.highest or fell(self.highest, index):
            self.highest, self.moved_at, self.unmoved = index, now, 0
            if self.frozen:
                self.frozen = False
                yield Announce(level="info", name="cluster_thawed", facts=facts)
            return
        self.unmoved += 1
        stood = now - self.moved_at
        sure = index == self.highest or self.unmoved > 1
        if placed and sure and stood >= STILL and not self.frozen:
            self.frozen = True
            facts["for"] = round(stood, 1)
            yield Announce(level="warning", name="cluster_frozen", facts=facts)

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
                facts: dict[str, object] = {"cluster": cluster, "orphans": len(orphans)}
                facts["runners"] = event.runners
                yield Announce(level="warning", name="runner_churn_seen", facts=facts)

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

    index: int | None
    models: Mapping[ModelId, Placed]
    first: bool


class Reading(Struct, frozen=True):
    """What a reading changed: the new grouping, where it is one, and what is to be said."""

    grouping: Grouping | None = None
    said: tuple[Announce, ...] = ()


def instance_ids(models: Mapping[ModelId, Placed]) -> frozenset[InstanceId]:
    """Name the instances of all models of a cluster."""
    return frozenset(one.id for placed in models.values() for one in placed.instances)


def judge(told: Placed, condition: Condition, is_gone: Callable[[NodeId], bool]) -> Placed:
    """Say how a model stands for us: as the state tells it, unless we know better."""
    if not told.instances:
        frozen = structs.replace(told, ready=False, why="state_frozen", progress=None)
        return frozen if condition.frozen else told
    instances = tuple(_judge(one, condition, is_gone) for one in told.instances)
    best = max(instances, key=lambda one: (one.ready, one.progress is not None))
    return Placed(told.model, best.ready, best.why, best.progress, instances)


def _judge(one: Instance, condition: Condition, is_gone: Callable[[NodeId], bool]) -> Instance:
    if condition.frozen:
        why = "state_frozen"
    elif any(is_gone(host) for host in one.hosts):
        why = "host_down"
    elif one.id in condition.churned:
        why = "runner_churn"
    else:
        return one
    return Instance(one.id, ready=False, why=why, hosts=one.hosts)


def fell(before: int | None, index: int | None) -> bool:
    """Say whether a cluster's event index began anew, which tells a re-election (Exo B and C).

    Members lag behind each other by a few events: only a fall by half counts.
    """
    return before is not None and index is not None and index < before // 2
