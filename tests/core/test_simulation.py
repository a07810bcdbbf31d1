"""Random hours of traffic, churn and faults: the machine's promises hold after every event."""

import os
from typing import Literal

import msgspec
import pytest

from exo_supervisor.core.effects import Effect
from exo_supervisor.core.events import Event
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import ProviderName
from tests.core.invariants import check, check_start
from tests.core.simulation import M1, M2, POLICY, Group, House, X

SEEDS = int(os.environ.get("EXO_SIM_SEEDS", "20"))
NAMES = ("chat", "chat", "chat", "private", "m1", "m2", "near/x", "nobody")
ROUTES: tuple[Literal["exo", "cloud"] | None, ...] = (*[None] * 18, "exo", "cloud")
LINE = msgspec.json.Encoder()
LOGGED = msgspec.json.Decoder(tuple[float, Event])


def hold(house: House, effects: list[Effect]) -> None:
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
    for name in house.clouds:
        house.clouds[name] = "well"


def hours(seed: int) -> House:
    """Live through trouble, recovery and silence; raises AssertionError at a broken promise."""
    house = House(seed, hold)
    try:
        visit(house, until=400.0)
        churn(house, until=300.0)
        house.live(300.0)
        heal(house)
        house.live(200.0)
        asked = [house.ask(name, patience=60.0, deadline=60.0) for name in ("m1", "m2")]
        house.live(100.0)
        for client in asked:
            assert [start.generation is None for start in client.served_by] == [False], client
        house.live(1000.0)
        empty(house)
    except AssertionError as broken:
        story = "\n".join(LINE.encode(line).decode() for line in house.log)
        print(story)  # noqa: T201 - pytest shows it beside the failure
        raise AssertionError(f"seed {seed}, {house.now:.3f} s: {broken}") from broken
    return house


def empty(house: House) -> None:
    """When all is quiet, nothing is left of anybody."""
    machine, dispatch = house.machine, house.machine.dispatch
    assert not house.clients
    assert not dispatch.flights
    assert not dispatch.waiting
    assert not vars(dispatch)["_quiet"]
    assert not machine.tables.seats.taken
    assert not vars(machine.tables.meters)["_in_flight"]
    counts = dispatch.counts
    assert counts["total"] == sum(counts.values()) - counts["total"], "ends and arrivals differ"
    gone = {key for key, _ in machine.tables.breakers if not known(house, *key)}
    assert not gone, "breakers of nobody"


def known(house: House, where: str, model: str | None) -> bool:
    tables = house.machine.tables
    if ProviderName(where) in tables.clouds.providers:
        return True
    return where in (tables.registry.nodes if model is None else tables.registry.clusters)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_promises_hold_through_random_hours(seed: int) -> None:
    counts = hours(seed).machine.dispatch.counts
    assert counts["exo"] + counts["cloud"] > 50, "too little ever happened"


def test_a_logged_story_replays_to_the_same_decisions() -> None:
    """What a failing seed prints is enough to see it fail again."""
    told: list[list[Effect]] = []

    def note(_house: House, effects: list[Effect]) -> None:
        told.append(effects)

    house = House(1, note)
    visit(house, until=60.0)
    churn(house, until=60.0)
    house.live(80.0)
    machine = Machine(POLICY, 0.0)
    lines = [LINE.encode(line) for line in house.log]
    assert [machine.handle(event, now) for now, event in map(LOGGED.decode, lines)] == told
