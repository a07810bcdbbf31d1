"""Which models are to stand on Exo, and what is done so that they do.

A model is wanted while its rule says `keep`, from a request on where it says `on_demand`, and once
when a person orders it. It is placed where it stands nowhere yet: never twice, never two at once,
and not while a cluster still settles after an election (Exo restores nothing, exo#1916).

Exo says yes at once and carries a placement out many seconds later, even after a merge or in the
next session. So an order outlives its cluster: for `Waits.appears` after a yes there is no second
one for that model anywhere. Where another supervisor had the same thought, two instances stand, and
who placed the one with the higher id takes it away. Which are our own outlasts a restart, as the
orders do.
"""

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Literal

from exo_supervisor.core.effects import Effect, PlaceModel, ReadPlacement, say
from exo_supervisor.core.events import ModelRemoved, PlacementChosen, PlacementSettled
from exo_supervisor.core.fleet.nodes import Cluster, Node
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.fleet.registry import Registry
from exo_supervisor.core.names import ClusterKey, ModelId
from exo_supervisor.core.placement import state
from exo_supervisor.core.placement.desired import DesiredModel, DesiredModels, tell_change
from exo_supervisor.core.placement.eligibility import Eligibility
from exo_supervisor.core.placement.removal import DELETED, remove, thin_out
from exo_supervisor.core.placement.state import Asked, Awaited, GivenUp, Loading, Resting
from exo_supervisor.core.policy import WAITS, Waits

LOOK = 2.0
"""Seconds between two looks at the state while a placement has to appear and to load."""
LOOKS_FOR = 60.0
"""Seconds after which a load is a long one, for which the usual readings will do."""

AILING = frozenset({"host_down", "host_silent", "state_frozen", "runner_churn"})
"""Why a model that stands does not load either: Exo will take it away, or it will be well again."""

Order = Literal["place", "remove"]


class Reconciler:
    """Decides what is placed where; `wake` asks for a turn at an instant."""

    def __init__(
        self,
        desired: DesiredModels,
        registry: Registry,
        wake: Callable[[float], None],
        waits: Waits = WAITS,
    ) -> None:
        self.desired, self._registry, self._wake = desired, registry, wake
        self._eligibility, self._appears = Eligibility(registry, waits), waits.appears
        self.version = 0
        """Grows with each change of what `expects` says."""

    def reconcile(self, now: float) -> list[Effect]:
        """Look at every row, since a state was read or an instant came."""
        if self._eligibility.changed(now):
            self.desired.renew()
        return [effect for row in self.desired for effect in self._turn(row, now)]

    def expects(self, models: Iterable[ModelId]) -> bool:
        """Say whether a model is on its way to be ready, so that a request may wait for it."""
        rows = (row for model in models if (row := self.desired.row_of(model)) is not None)
        return any(row.coming for row in rows)

    def demand(self, models: tuple[ModelId, ...], now: float) -> list[Effect]:
        """Place a model because a request asks for it, unless that has failed of late."""
        row = self.desired.row_of(models[0])
        if row is None or (isinstance(row.placing, Resting) and now < row.placing.until):
            return []
        row.wanted = True
        return self._turn(row, now)

    def order(self, models: tuple[ModelId, ...], order: Order, now: float) -> list[Effect]:
        """Do as a person says, at once; placing begins anew even where it was given up."""
        row = self.desired.row_of(models[0]) or self.desired.add(models)
        if order == "remove":
            row.wanted, row.suspended = False, True
            if self._where(row, now) is not None:
                row.free_at = -inf  # the last order was carried out
            if not isinstance(row.placing, Asked):
                row.placing = Resting()
            return [*remove(row, self._eligibility, now), *self._turn(row, now)]
        row.wanted, row.suspended = True, False
        if isinstance(row.placing, GivenUp | Resting):
            row.placing = Resting()
            row.unfit.clear()
        return self._turn(row, now)

    def chosen(self, event: PlacementChosen, now: float) -> list[Effect]:
        """Take in what will be our own, before Exo hears of it: we may not outlive the order."""
        row = self.desired.row_of(event.key)
        if row is None:
            return []
        row.note_own(event.instance, now)
        return [self.desired.keep_own()]

    def settled(self, event: PlacementSettled, now: float) -> list[Effect]:
        """Take in what came of asking a node to place a model."""
        row = self.desired.row_of(event.key)
        if row is None or row.ticket != event.ticket or not isinstance(row.placing, Asked):
            return []
        before, cluster = row.placing, row.placing.cluster
        facts = {"model": event.key, "cluster": cluster}
        if event.told == "unfit":
            row.unfit[cluster], row.free_at = event.detail, -inf
            row.placing = Resting(before.failures)
            said = say("info", "placement_unfit", **facts, why=event.detail)
            return [said, *self._turn(row, now)]
        row.placing = state.answered(before, event.told, event.detail, now)
        row.home, row.free_at = cluster, now + self._appears
        if event.told == "failed":
            row.free_at = -inf  # nothing was sent
            return [*self._after_change(row, before), *self._turn(row, now)]
        level = "warning" if event.told == "lost" else "info"
        said = say(level, f"placement_{event.told}", **facts)
        return [said, *self._turn(row, now)]

    def removed(self, event: ModelRemoved, now: float) -> list[Effect]:
        """Take in that a cluster's instances of a model were deleted, or not."""
        row = self.desired.row_of(event.model)
        if row is not None and event.surplus:
            row.thinning[event.cluster] = now + DELETED
        elif row is not None:
            row.removing.pop(event.cluster, None)
        facts = {"instances": event.count, **({"why": event.why} if event.why else {})}
        level = "warning" if event.why else "info"
        name = "surplus_instance_removed" if event.surplus else "model_removed"
        said = say(level, name, model=event.model, cluster=event.cluster, **facts)
        return [said, *self._read(event.cluster)]

    def _turn(self, row: DesiredModel, now: float) -> list[Effect]:
        before, row.placing = row.placing, state.passed(row.placing, now)
        row.forget_unanswered(now)
        where = self._where(row, now)
        row.stands = where is not None and where[1].ready
        if where is None:
            self._miss(row, now)
        else:
            self._stand(row, *where, now)
        effects = [*self._after_change(row, before), *self._see_own(row, now)]
        effects += thin_out(row, self._eligibility, now)
        if where is None and isinstance(row.placing, Resting) and row.is_wanted():
            effects += self._begin(row, row.placing, now)
        was_coming, row.coming = row.coming, self._is_coming(row, missing=where is None)
        self.version += row.coming != was_coming
        return [*effects, *self._watch(row, now)]

    def _stand(self, row: DesiredModel, cluster: Cluster, placed: Placed, now: float) -> None:
        if placed.why in AILING:
            return
        row.placing = state.stands(row.placing, placed, cluster.key, now)
        if placed.ready:
            row.home = cluster.key
            row.wanted = row.wanted and cluster.key in row.removing  # it is on its way out
            row.unfit.clear()

    def _miss(self, row: DesiredModel, now: float) -> None:
        """Take in that a model stands nowhere; what an election took is nobody's failure."""
        match row.placing:
            case Awaited(since=since) if now < since + self._appears:
                pass
            case Awaited(cluster=key, since=since) | Loading(cluster=key, since=since):
                cluster = self._registry.clusters.get(key)
                if cluster is None or not self._eligibility.stood(cluster, since, now):
                    row.placing = Resting(row.placing.failures)
                else:
                    row.placing = state.lacks(row.placing, cluster.read_at, now, self._appears)
            case _:
                row.placing = state.lacks(row.placing, now, now, self._appears)

    def _where(self, row: DesiredModel, now: float) -> tuple[Cluster, Placed] | None:
        """Find where a model stands, ready places first; on a dead cluster nothing stands."""
        found: tuple[Cluster, Placed] | None = None
        for model in row.models:
            for cluster, placed in self._registry.where_placed(model):
                if placed.why == "not_placed" or not self._eligibility.alive(cluster, now):
                    continue
                if not self._eligibility.counts(cluster, now):
                    continue
                if placed.ready:
                    return cluster, placed
                found = found or (cluster, placed)
        return found

    def _begin(self, row: DesiredModel, rest: Resting, now: float) -> Iterator[Effect]:
        """Ask a cluster to place a model, if one may take it now."""
        if now < max(rest.until, row.free_at):
            return
        could = [
            (cluster, node)
            for cluster, node in self._eligibility.candidates()
            if not any(model in cluster.models for model in row.models)
        ]
        fit = [(cluster, node) for cluster, node in could if cluster.key not in row.unfit]
        if could and not fit:
            why = "; ".join(dict.fromkeys(row.unfit.values()))
            row.unfit.clear()
            row.placing = state.fail(rest, why, now)
            yield from self._after_change(row, rest)
            return
        free = [pair for pair in fit if self._eligibility.settled(pair[0], now)]
        if free:
            best = min(free, key=lambda pair: (pair[0].key != row.home, pair[0].key))
            yield from self._ask(row, rest, *best, now)

    def _ask(
        self, row: DesiredModel, rest: Resting, cluster: Cluster, node: Node, now: float
    ) -> Iterator[Effect]:
        row.ticket += 1
        row.placing, row.free_at = state.ask(rest, cluster.key, now), now + self._appears
        where = {"cluster": cluster.key, "node": node.address}
        yield say("info", "placement_started", model=row.models[0], **where)
        yield PlaceModel(
            key=row.models[0],
            ticket=row.ticket,
            node=node.address,
            url=node.url,
            state_paths=node.state_paths,
            models=row.models,
        )

    def _see_own(self, row: DesiredModel, now: float) -> Iterator[Effect]:
        """Take in which of our own instances stand, and forget those that have long gone."""
        placed = (p for model in row.models for _, p in self._registry.where_placed(model))
        if row.own and row.see_own({one.id for p in placed for one in p.instances}, now):
            yield self.desired.keep_own()

    def _after_change(self, row: DesiredModel, before: state.Placing) -> Iterator[Effect]:
        """Tell of a row's change; a failure ends what was wanted once."""
        if row.placing.failures > before.failures:
            row.wanted = False
        yield from tell_change(row, before)

    def _is_coming(self, row: DesiredModel, *, missing: bool) -> bool:
        match row.placing:
            case Asked() | Awaited() | Loading():
                return True
            case Resting(failures=0) if missing and row.is_wanted():
                return next(self._eligibility.candidates(), None) is not None
            case _:
                return False

    def _watch(self, row: DesiredModel, now: float) -> Iterator[Effect]:
        """Have the state read soon while something must show in it, and plan the next turn."""
        match row.placing:
            case Awaited(cluster=key, since=since) | Loading(cluster=key, since=since):
                if now >= row.look_at and now < since + LOOKS_FOR:
                    row.look_at = now + LOOK
                    self._wake(row.look_at)
                    yield from self._read(key)
            case Resting() if row.is_wanted() and (firm_at := self._eligibility.settled_at(now)):
                self._wake(firm_at)
            case _:
                pass
        for due in (state.due(row.placing, self._appears), row.free_at):
            if due is not None and due > now:
                self._wake(due)

    def _read(self, key: ClusterKey) -> Iterator[Effect]:
        cluster = self._registry.clusters.get(key)
        node = None if cluster is None else self._registry.reader(cluster)
        if node is not None:
            yield ReadPlacement(node=node)
