"""Random hours of traffic, churn and faults, then recovery and silence, under one seed."""

from typing import Literal

from exo_supervisor.core.effects import Effect
from exo_supervisor.core.events import BreakerForced
from exo_supervisor.core.names import ProviderName
from tests.core.invariants import check, check_start
from tests.core.simulation import M1, M2, Group, House, Log, X

NAMES = (
    "chat", "chat", "chat", "private", "m1", "m2", "near/x", "nobody",
    "either", "alias", "led", "kept", "star-1",
)  # fmt: skip
ROUTES: tuple[Literal["exo", "cloud"] | None, ...] = (*[None] * 18, "exo", "cloud")
TURN = 1800.0
"""Seconds of traffic within which every node that could serve must have been asked."""


class BrokenPromiseError(AssertionError):
    """Something that must always hold did not; `log` is the story up to there."""

    def __init__(self, seed: int, now: float, promise: str, log: Log) -> None:
        super().__init__(f"seed {seed}, {now:.3f} s: {promise}")
        self.log = log


def hours(seed: int, *, trouble: float = 300.0) -> House:
    """Live through `trouble` seconds of it, recovery and silence. Raises BrokenPromiseError."""
    house = House(seed, hold)
    try:
        visit(house, until=trouble + 100.0)
        churn(house, until=trouble)
        house.live(trouble)
        heal(house)
        house.live(200.0)
        serve_at_home(house)
        take_turns(house)
        house.live(1000.0)
        empty(house)
    except AssertionError as broken:
        raise BrokenPromiseError(seed, house.now, str(broken), house.log) from broken
    return house


def hold(house: House, effects: list[Effect]) -> None:
    """Check every promise after every event."""
    for effect in effects:
        check_start(effect, house)
    check(house)


def visit(house: House, until: float) -> None:
    """Let clients come, about one a second, some in a hurry and some only for a moment."""
    if house.now >= until:
        return
    dice = house.random
    house.later(dice.expovariate(1.0), lambda: visit(house, until))
    patience = dice.expovariate(0.2) if house.chance(0.2) else 950.0
    deadline = dice.expovariate(0.1) if house.chance(0.2) else 900.0
    house.ask(
        dice.choice(NAMES),
        patience=patience,
        deadline=deadline,
        streams=house.chance(0.7),
        route=dice.choice(ROUTES),
        local_only=house.chance(0.1),
        session=dice.randrange(4),
        mid_turn=house.chance(0.5),
    )


def churn(house: House, until: float) -> None:
    """Let something change every few seconds: for worse, for better, or for a while."""
    if house.now >= until:
        return
    dice = house.random
    house.later(dice.expovariate(0.25), lambda: churn(house, until))
    node, provider = dice.choice(house.nodes), dice.choice(list(house.clouds))
    match dice.randrange(9):
        case 0 | 1:
            house.die(node)
        case 2 | 3:
            node.alive = True
            house.sight(node)
        case 4:
            node.group.models[dice.choice((M1, M2))] = house.chance(0.6)
        case 5:  # a re-election: the state begins anew
            node.group.index, node.group.models = 0, {}
        case 6:
            house.clouds[provider] = dice.choice(("well", "well", "down", "bad_key"))
        case 7:  # a cluster splits, or two become one
            node.group = Group() if house.chance(0.5) else dice.choice(house.nodes).group
        case _:
            target = provider if house.chance(0.3) else node.addresses[0]
            model = dice.choice((None, M1, X))
            house.force(target, model, seconds=dice.expovariate(0.1))


def heal(house: House) -> None:
    house.trouble = 0.0
    for node in house.nodes:
        node.alive = True
        node.group.models = {M1: True, M2: True}
        house.sight(node)  # it may have been dead for so long that it was forgotten
    for name in house.clouds:
        house.clouds[name] = "well"
    release(house)


def release(house: House) -> None:
    """Let an operator give back every breaker that the table shows as held."""
    breakers = house.machine.tables.breakers
    for (target, model), _ in [row for row in breakers if row[1].forced]:
        house.feed(BreakerForced(target=target, model=model, forced=None))
    assert not [key for key, cell in breakers if cell.forced], "nobody can give these back"


def serve_at_home(house: House) -> None:
    """When all is well again, Exo serves what it has."""
    asked = [house.ask(name, patience=60.0, deadline=60.0) for name in ("m1", "m2")]
    house.live(100.0)
    for client in asked:
        assert [start.generation is None for start in client.served_by] == [False], client


def take_turns(house: House) -> None:
    """Let quiet traffic run on: every node that can serve must be asked sooner or later."""
    since = len(house.starts)
    end = house.now + TURN
    while house.now < end:
        house.ask("m1", patience=60.0, deadline=60.0)
        house.live(10.0)
    asked = {start.target for start in house.starts[since:]}
    idle = [node.addresses for node in house.nodes if not asked & set(node.addresses)]
    assert not idle, f"{idle} were never asked"


def empty(house: House) -> None:
    """When all is quiet, nothing is left of anybody."""
    machine, dispatch = house.machine, house.machine.dispatch
    assert not house.clients
    wrong = [visitor for visitor in house.visitors if len(visitor.ends) != 1]
    assert not wrong, f"answered not once but {[visitor.ends for visitor in wrong]}"
    assert not dispatch.requests
    assert not dispatch.waiting
    assert not dispatch.stall_check.silences
    assert not machine.tables.concurrency.taken
    assert not machine.tables.concurrency.at
    gone = {key for key, _ in machine.tables.breakers if not known(house, *key)}
    assert not gone, "breakers of nobody"


def known(house: House, where: str, model: str | None) -> bool:
    tables = house.machine.tables
    if ProviderName(where) in tables.clouds.providers:
        return True
    return where in (tables.registry.nodes if model is None else tables.registry.clusters)
