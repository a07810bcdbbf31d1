"""The short way of a plain request through a healthy house, which is nearly every request.

It decides what `next_step` would decide, and nothing else: where no breaker has a row, nobody is
marked as busy or absent, and the request itself demands nothing, each question that `next_step`
asks of each candidate has the same answer, so that only seats and balance are left. Whoever adds a
question there asks it here, too, or lets the short way end where it matters: the simulation runs
every request of a healthy house both ways.
"""

from exo_supervisor.core.balance.choose import SAMPLE
from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import ModelId
from exo_supervisor.core.requests.candidate import Candidate
from exo_supervisor.core.requests.candidates import at_home, balanced
from exo_supervisor.core.requests.catalog import Route
from exo_supervisor.core.requests.next_step import Start
from exo_supervisor.core.requests.spending import lacks_of
from exo_supervisor.core.tables import Tables


def start_at_once(event: RequestArrived, route: Route, tables: Tables, now: float) -> Start | None:
    """Return where a fresh request goes, or None where that takes a longer look."""
    if not route.plain or event.route is not None or event.local_only:
        return None
    if event.demands or event.hazards or now >= event.deadline:
        return None
    if tables.breakers.rows or tables.busy.marks or tables.absent.until:
        return None
    tier = route.tiers[0]
    model = tier.models[0]
    if tier.provider is None:
        free = _at_nodes(model, event, tables)
        if not free:
            return None
        found, choice = balanced(free, tables, event.draw, now)
        return Start(found, "exo", choice=choice)
    provider = tables.clouds.providers.get(tier.provider)
    if provider is None or not provider.serves(model):
        return None
    key = provider.first_key(now)
    if key is None or (event.session and len(provider.keys) > 1):
        return None
    paid = tables.budgets.active and not provider.cloud.local
    if paid and lacks_of(event, tier.provider, model, tables, counted=False):
        return None
    return Start(tables.candidates.at_provider(tier.provider, model, key), tier.side)


def _at_nodes(model: ModelId, event: RequestArrived, tables: Tables) -> list[Candidate]:
    free = ready = tables.candidates.ready(model, event.draw)
    if taken := tables.concurrency.taken:
        free = [
            each
            for each in ready
            if each.seat_key is not None and taken.get(each.seat_key, 0) < each.seats
        ]
    if not event.session or not free:
        return free
    if len(ready) == SAMPLE and _lives_elsewhere(ready, event, tables):
        return []
    return at_home(free, event, tables)


def _lives_elsewhere(ready: list[Candidate], event: RequestArrived, tables: Tables) -> bool:
    """Say whether a conversation's place is not in a sample, and may be ready all the same."""
    home = tables.affinity.home(event, None)
    return home is not None and all(each.target != home.target for each in ready)
