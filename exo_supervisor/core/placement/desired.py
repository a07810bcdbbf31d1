"""Which models are wanted on Exo, by whom, and how far each has come."""

from collections.abc import Container, Iterator, Sequence
from math import inf

from msgspec import Struct, field, structs

from exo_supervisor.core.effects import Announce, KeepInstances, OwnInstances, say
from exo_supervisor.core.fleet.placed import Instance
from exo_supervisor.core.names import ClusterKey, InstanceId, ModelId
from exo_supervisor.core.placement.state import (
    Asked,
    Awaited,
    GivenUp,
    Loading,
    Placing,
    Resting,
)
from exo_supervisor.core.policy import WAITS, ModelRule, Waits

ILL = frozenset({"runner_failed", "host_down", "host_lags", "shutting_down", "no_runners"})
"""Why an instance does not count beside another."""
MAX_OWN = 8
"""Instances of one model that are remembered as our own."""
FORGOTTEN = 3600.0
"""Seconds unseen after which one of our own is forgotten: a member that replays its log shows
again what was deleted, and what stands behind a broken network comes back with it (exo#2059)."""
MOST = 256
"""Models that are remembered; those that no rule names make room, the oldest first."""


class DesiredModel(Struct):
    """One model: `models` are its ids at Exo, the preferred one first.

    `wanted` is for once; `stands`: it is ready somewhere; `suspended` means that a person removed
    it, and that `keep` rests until the model is ordered again. `coming`: a request may wait for
    it. `unfit` are clusters that cannot take it now, each with its reason. `own` are the instances
    that we placed, each with when it was last seen, and `ordered` those that never were.
    `removing` are the clusters that were told to delete it, `thinning` those that were told to
    delete one of our own: none is told again before the instant. Until `free_at` the last order may
    still be carried out.
    """

    models: tuple[ModelId, ...]
    keep: bool = False
    wanted: bool = False
    stands: bool = False
    suspended: bool = False
    coming: bool = False
    placing: Placing = field(default_factory=Resting)
    ticket: int = 0
    home: ClusterKey | None = None
    look_at: float = 0.0
    unfit: dict[ClusterKey, str] = field(default_factory=dict[ClusterKey, str])
    removing: dict[ClusterKey, float] = field(default_factory=dict[ClusterKey, float])
    thinning: dict[ClusterKey, float] = field(default_factory=dict[ClusterKey, float])
    own: dict[InstanceId, float] = field(default_factory=dict[InstanceId, float])
    ordered: set[InstanceId] = field(default_factory=set[InstanceId])
    free_at: float = -inf

    def is_wanted(self) -> bool:
        """Say whether the model is to stand somewhere."""
        return self.wanted or (self.keep and not self.suspended)

    def note_own(self, instance: InstanceId, now: float, *, seen: bool = False) -> None:
        """Remember an instance that we place; the one that was not seen for longest makes room."""
        self.own[instance] = now
        if not seen:
            self.ordered.add(instance)
        if len(self.own) > MAX_OWN:
            oldest = min(self.own, key=self.own.__getitem__)
            del self.own[oldest]
            self.ordered.discard(oldest)

    def see_own(self, standing: Container[InstanceId], now: float) -> bool:
        """Take in which of our own stand, and forget those that have not for long.

        True if there is anything new in this.
        """
        before = len(self.own), len(self.ordered)
        seen = {one: now if one in standing else at for one, at in self.own.items()}
        self.own = {one: at for one, at in seen.items() if now < at + FORGOTTEN}
        self.ordered = {one for one in self.ordered if one in self.own and one not in standing}
        return (len(self.own), len(self.ordered)) != before

    def inherit(self, former: "DesiredModel") -> None:
        """Take over from a row that shares an id what was ordered, by us or by a person."""
        self.free_at = max(self.free_at, former.free_at)
        self.ticket = max(self.ticket, former.ticket)
        self.suspended = self.suspended or former.suspended
        self.own |= former.own
        self.ordered |= former.ordered
        self.home = self.home or former.home

    def kept_own(self) -> OwnInstances:
        """Return what is to be kept of it across restarts."""
        seen = tuple(one for one in self.own if one not in self.ordered)
        ordered = tuple(one for one in self.own if one in self.ordered)
        return OwnInstances(self.models[0], seen, ordered)

    def surplus(self, instances: Sequence[Instance]) -> tuple[InstanceId, ...]:
        """Name the instances of our own that are one too many: a well one has a lower id."""
        lowest = min((one.id for one in instances if one.why not in ILL), default=None)
        return tuple(
            one.id
            for one in instances
            if one.id in self.own and lowest is not None and lowest < one.id and not one.running
        )

    def forget_unanswered(self, now: float) -> None:
        """Take in that nobody will answer any more for what was to be deleted."""
        for table in (self.removing, self.thinning):
            for key in [key for key, until in table.items() if now >= until]:
                del table[key]


class DesiredModels:
    """Owns the rows; those of the configuration stay for good.

    A model that an earlier run placed has one, too, lest a second instance stays for ever. What
    that run ordered and did not see may yet come: so it is waited for as if it were ordered now.
    """

    def __init__(
        self,
        rules: Sequence[ModelRule],
        own: Sequence[OwnInstances],
        now: float,
        waits: Waits = WAITS,
    ) -> None:
        self._rows: dict[ModelId, DesiredModel] = {}
        self._name(rules)
        for each in own:
            row = self.row_of(each.model) or self.add((each.model,))
            for instance in (*each.seen, *each.ordered):
                row.note_own(instance, now, seen=instance in each.seen)
            if row.ordered:
                row.free_at = now + waits.appears

    def follow_rules(self, rules: Sequence[ModelRule]) -> None:
        """Want what other rules say.

        What stands stays, also where no rule desired it any more: only a person removes a model. A
        row whose ids changed begins anew, but with what could make it place a second instance.
        """
        before, self._rows = self._rows, {}
        self._name(rules)
        for row in before.values():
            heir = self._known(row.models)
            if heir is None:
                if len(self._rows) >= MOST:
                    continue
                row.keep = False
                self._rows |= dict.fromkeys(row.models, row)
            elif heir.models == row.models:
                row.keep = heir.keep
                self._rows |= dict.fromkeys(row.models, row)
            else:
                heir.inherit(row)

    def _name(self, rules: Sequence[ModelRule]) -> None:
        for rule in rules:
            if rule.exo and (rule.keep or rule.on_demand):
                row = self._known(rule.exo) or DesiredModel(())
                row.keep = row.keep or rule.keep
                row.models = tuple(dict.fromkeys((*row.models, *rule.exo)))
                self._rows |= dict.fromkeys(row.models, row)
        self._fixed = frozenset(self._rows)

    def __iter__(self) -> Iterator[DesiredModel]:
        return iter([row for model, row in self._rows.items() if model == row.models[0]])

    def row_of(self, model: ModelId) -> DesiredModel | None:
        """Find the row of a model by any of its ids."""
        return self._rows.get(model)

    def add(self, models: tuple[ModelId, ...]) -> DesiredModel:
        """Remember a model that no rule keeps."""
        if len(self._rows) >= MOST:
            old = next((model for model in self._rows if model not in self._fixed), None)
            for model in () if old is None else self._rows[old].models:
                del self._rows[model]
        row = self._known(models) or DesiredModel(models)
        self._rows |= dict.fromkeys(row.models, row)
        return row

    def keep_own(self) -> KeepInstances:
        """Have all instances that are our own kept across restarts."""
        return KeepInstances(own=tuple(row.kept_own() for row in self if row.own))

    def follow(self, key: ClusterKey, heir: ClusterKey) -> None:
        """Take in that a cluster went into another: what was ordered of it will show there."""
        for row in self:
            row.home = heir if row.home == key else row.home
            match row.placing:
                case Asked(cluster=cluster) | Awaited(cluster=cluster) | Loading(cluster=cluster):
                    if cluster == key:
                        row.placing = structs.replace(row.placing, cluster=heir)
                case _:
                    pass

    def renew(self) -> None:
        """Hope anew: the house has changed, so what could not be placed may fit now."""
        for row in self:
            row.unfit.clear()
            if isinstance(row.placing, GivenUp) and row.placing.how is None:
                row.placing = Resting()

    def _known(self, models: Sequence[ModelId]) -> DesiredModel | None:
        return next((self._rows[model] for model in models if model in self._rows), None)


def tell_change(row: DesiredModel, before: Placing) -> Iterator[Announce]:
    """Say in a log line's terms what a row has come to, if it has come anywhere."""
    model, under_way = row.models[0], isinstance(before, Asked | Awaited | Loading)
    match row.placing:
        case GivenUp(why=why, failures=failures) if not isinstance(before, GivenUp):
            yield say("error", "placement_given_up", model=model, why=why, failures=failures)
        case Resting(why=why, failures=failures) if failures > before.failures:
            yield say("warning", "placement_failed", model=model, why=why, failures=failures)
        case Resting(failures=0) if under_way and row.stands and row.home is not None:
            yield say("info", "placement_done", model=model, cluster=row.home)
        case Loading(cluster=cluster, how=how) if not isinstance(before, Loading):
            yield say("info", "model_loading", model=model, cluster=cluster, why=how[0])
        case _:
            pass
