"""What each member tells of the state that its cluster shares, and what that says of the cluster.

Exo replicates its state by a log of events, and `index` counts those that a member has applied. A
member that joins replays the log from the beginning (25 s for 2,900 events) and shows old instances
on the way; one that missed an event stands still while the others go on (exo#2112). So the state
that one member shows is that member's, never the cluster's:

- Within a session the highest index is the truth.
- An index never falls within a session. A member that falls against itself has left its session:
  either all do, which is an election, or it alone came back to the session of the others. So the
  others are asked at once, and one that has grown since then says that there was no election.
- Members that fall and list nodes of another cluster have come into that one's session: they
  merge, and soon those list them, too.
- A member that comes from another cluster brings another session's state, until it falls.
- A member that lags, or stands still, can neither serve nor run what stands on it.
"""

from collections.abc import Mapping, Sequence
from math import inf

from msgspec import Struct, structs

from exo_supervisor.core.events import PlacementRead
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, InstanceId, ModelId

STILL = 8.0
"""Seconds without one new event after which a state stands still: a healthy node makes one each."""
LAG = 100
"""Events by which a member may be behind the others: what streams make between two readings."""
CONFIRM = 5.0
"""Seconds for which the others may contradict an election; who does not answer does not."""
FOREIGN = 30.0
"""Seconds that a member may show the session of its former cluster: a campaign takes three."""


class MemberView(Struct, frozen=True):
    """The state as one member told it last.

    `moved_at` is when its index was first seen, `grew_at` when it was last seen to grow, `fell_at`
    when it fell and has neither been elected nor caught up since; `behind` are the events it lags
    by; until `foreign` it may show another session.
    """

    index: int | None
    models: Mapping[ModelId, Placed]
    read_at: float
    moved_at: float
    grew_at: float = -inf
    fell_at: float | None = None
    behind: int = 0
    still: bool = False
    foreign: float | None = None

    @property
    def lags(self) -> bool:
        """Say whether it can neither serve nor run anything now."""
        return self.behind > 0 or self.still or self.foreign is not None or self.fell_at is not None


Views = dict[Address, MemberView]


class Verdict(Struct, frozen=True):
    """What a reading says of a cluster: `ask` names members that are to be read at once."""

    views: Views
    truth: MemberView
    elected: bool = False
    ask: tuple[Address, ...] = ()


def look(before: MemberView | None, event: PlacementRead, now: float) -> MemberView:
    """Compare what a member tells with what it told before; with nobody else."""
    index, models = event.index, {placed.model: placed for placed in event.models}
    view = MemberView(index, models, now, now)
    if before is None or before.index is None or index is None:
        return view
    view = structs.replace(view, fell_at=before.fell_at, foreign=before.foreign)
    if view.foreign is not None and now >= view.foreign:
        view = structs.replace(view, foreign=None)
    if index < before.index:  # who comes from elsewhere leaves its own session for the others'
        fell_at = None if view.foreign is not None else now
        return structs.replace(view, fell_at=fell_at, foreign=None)
    if index > before.index:
        return structs.replace(view, grew_at=now)
    stood = now - before.moved_at
    still = before.still or (bool(models) and stood >= STILL)
    return structs.replace(view, moved_at=before.moved_at, grew_at=before.grew_at, still=still)


def weigh(
    views: Views,
    who: Address,
    before: MemberView | None,
    now: float,
    joins: Sequence[Address] = (),
) -> Verdict:
    """Judge what a member has just told beside what the others told last.

    `joins` are nodes of another cluster that it lists.
    """
    view = views[who]
    others = {address: other for address, other in views.items() if address != who}
    view = _measured(view, [o for o in others.values() if o.foreign is None])
    views = {**views, who: view}
    if _is_election(views, now, merging=bool(joins)):
        return _elected(views, who)
    began = before is None or not before.lags
    doubtful = view.fell_at == now or (view.still and began)
    ask = tuple(address for address, other in others.items() if doubtful or _just_came(other))
    ask += tuple(joins) if view.fell_at == now else ()
    return Verdict(views, truth(views, who), ask=ask)


def truth(views: Views, who: Address) -> MemberView:
    """Choose the view that holds for the cluster: of its session, the one with the most events.

    Where no events are counted, it is the last that was told.
    """
    if who in views and views[who].index is None:
        return views[who]
    native = [view for view in views.values() if view.foreign is None] or [*views.values()]
    return max(native, key=_newest)


def stood_for(view: MemberView, now: float) -> float:
    """Tell for how long a member's index has not grown."""
    return now - view.moved_at


def instance_ids(models: Mapping[ModelId, Placed]) -> frozenset[InstanceId]:
    """Name the instances of all models of a cluster."""
    return frozenset(one.id for placed in models.values() for one in placed.instances)


def _just_came(view: MemberView) -> bool:
    """Say whether a member came from another cluster and has told nothing since."""
    return view.foreign is not None and view.read_at <= view.foreign - FOREIGN


def _is_new(view: MemberView, since: float) -> bool:
    """Say whether a member told for the first time after an instant."""
    return view.grew_at == -inf and view.moved_at > since


def _newest(view: MemberView) -> tuple[int, float]:
    return -2 if view.index is None else view.index, view.read_at


def _measured(view: MemberView, others: list[MemberView]) -> MemberView:
    """Count the events that a member lags by: few do not matter, unless an instance is in them."""
    best = max(others, key=_newest, default=None)
    if best is None or best.index is None or view.index is None:
        return structs.replace(view, foreign=None)
    ids, own = instance_ids(best.models), instance_ids(view.models)
    gap = best.index - view.index
    if view.foreign is not None and (abs(gap) <= LAG or not ids.isdisjoint(own)):
        view = structs.replace(view, foreign=None)  # it has been in their session all the time
    behind = gap if gap > LAG or (gap > 0 and not ids <= own) else 0
    if view.fell_at is not None and view.grew_at > view.fell_at and not behind:
        view = structs.replace(view, fell_at=None)
    return structs.replace(view, behind=0 if view.foreign is not None else behind)


def _is_election(views: Views, now: float, *, merging: bool) -> bool:
    """Say whether the session has ended: members fell, and none of the others goes on with it."""
    native = [view for view in views.values() if view.foreign is None]
    falls = [view.fell_at for view in native if view.fell_at is not None]
    if not falls or (merging and now - min(falls) < CONFIRM):
        return False
    rest = [view for view in native if view.fell_at is None and not view.still]
    if any(view.grew_at >= max(falls) for view in rest):
        return False
    return not rest or len(falls) > 1 or now - min(falls) >= CONFIRM


def _elected(views: Views, who: Address) -> Verdict:
    """Begin a new session with those that have told of it; the others' views are of the old one.

    That may be so even of who told just now, if it stands still.
    """
    since = min(view.fell_at for view in views.values() if view.fell_at is not None)
    told = {
        address: structs.replace(view, fell_at=None, foreign=None, behind=0, still=False)
        for address, view in views.items()
        if view.fell_at is not None or view.foreign is not None or _is_new(view, since)
    }
    return Verdict(told, truth(told, who), elected=True)
