"""The conductor turns the machine in order, in time, and never inside of itself."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import pytest
from anyio.streams.memory import MemoryObjectSendStream

from exo_supervisor.core.effects import Announce, Effect, Refuse, WatchNode
from exo_supervisor.core.events import Event, NodeSighted, RequestArrived
from exo_supervisor.core.machine import Machine
from exo_supervisor.core.names import Address, RequestId
from exo_supervisor.core.policy import Policy
from exo_supervisor.errors import BrokenMachineError
from exo_supervisor.runtime.conductor import INBOX, Conductor

IDLE = 7.0
LOOK = 40.0
"""Seconds of the first look, for which requests wait: each until its own deadline at most."""


class Stage:
    """A conductor over a real machine; notes when each effect was carried out."""

    def __init__(self) -> None:
        self.send: MemoryObjectSendStream[Event]
        self.conductor: Conductor
        self.began = anyio.current_time()
        self.done: list[tuple[float, Effect]] = []
        self.beats: list[float] = []
        self.inside = False
        self.follow: Callable[[Effect], None] = lambda _effect: None

    def now(self) -> float:
        return anyio.current_time() - self.began

    def perform(self, effect: Effect) -> None:
        assert not self.inside, "an effect was carried out inside of another"
        self.inside = True
        self.done.append((self.now(), effect))
        self.follow(effect)
        self.inside = False

    def watched(self) -> list[str]:
        return [effect.node for _, effect in self.done if isinstance(effect, WatchNode)]

    def refused(self) -> dict[str, float]:
        return {effect.request: at for at, effect in self.done if isinstance(effect, Refuse)}

    def announced(self, name: str) -> list[float]:
        told = ((at, effect) for at, effect in self.done if isinstance(effect, Announce))
        return [at for at, effect in told if effect.name == name]


@contextmanager
def staged() -> Generator[Stage]:
    send, receive = anyio.create_memory_object_stream[Event](INBOX)
    with send, receive:
        stage = Stage()
        stage.send = send
        machine = Machine(
            Policy(first_look=LOOK, seeds=((Address("s:1"), "http://s:1"),)), stage.began
        )
        stage.conductor = Conductor(
            machine, receive, stage.perform, beat=lambda: stage.beats.append(stage.now()), idle=IDLE
        )
        yield stage


def sighted(name: str) -> NodeSighted:
    """Let a person name a node: strangers have a smaller table."""
    return NodeSighted(node=Address(name), url=f"http://{name}", source="test", seeded=True)


def arrived(name: str, deadline: float) -> RequestArrived:
    return RequestArrived(request=RequestId(name), model="m", deadline=deadline, draw=0.0)


async def test_events_of_the_inbox_keep_their_order() -> None:
    with staged() as stage:
        names = [f"n{place}:1" for place in range(INBOX + 500)]
        for name in names[:INBOX]:
            stage.send.send_nowait(sighted(name))
        with pytest.raises(anyio.WouldBlock):
            stage.send.send_nowait(sighted("one too many"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.conductor.run)
            for name in names[INBOX:]:
                await stage.send.send(sighted(name))
            await anyio.sleep(1.0)
            tasks.cancel_scope.cancel()
        assert stage.watched() == names


async def test_what_is_heard_is_taken_in_at_once_and_shows_that_the_loop_turns() -> None:
    with staged() as stage:
        stage.conductor.hear(sighted("a:1"))
        assert stage.watched() == ["a:1"]
        assert stage.beats == [0.0]


async def test_events_that_effects_raise_wait_for_their_turn_and_keep_their_order() -> None:
    with staged() as stage:
        children = {"a:1": ["b:1", "c:1"], "b:1": ["d:1"], "c:1": ["e:1"]}

        def follow(effect: Effect) -> None:
            if isinstance(effect, WatchNode):
                for child in children.get(effect.node, []):
                    stage.conductor.ask(sighted(child))

        stage.follow = follow
        stage.conductor.ask(sighted("a:1"))
        assert stage.watched() == ["a:1", "b:1", "c:1", "d:1", "e:1"]


async def test_after_an_effect_that_cannot_be_carried_out_nothing_is_decided_any_more() -> None:
    with staged() as stage:

        def fail(_effect: Effect) -> None:
            stage.inside = False
            raise ValueError

        stage.follow = fail
        with pytest.raises(ValueError):  # noqa: PT011 -- ours, a line above
            stage.conductor.ask(sighted("a:1"))
        stage.follow = lambda _effect: None
        with pytest.raises(BrokenMachineError):
            stage.conductor.ask(sighted("b:1"))
        assert stage.watched() == ["a:1"]


async def test_the_machine_is_woken_at_its_own_instant() -> None:
    with staged() as stage, anyio.move_on_after(LOOK + 10.0):
        await stage.conductor.run()
    assert stage.announced("first_look_done") == [LOOK]


async def test_an_instant_that_was_set_by_ask_is_met_exactly() -> None:
    with staged() as stage:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.conductor.run)
            await anyio.sleep(1.0)
            stage.conductor.ask(arrived("late", stage.began + 6.25))
            stage.conductor.ask(arrived("soon", stage.began + 3.5))
            await anyio.sleep(20.0)
            tasks.cancel_scope.cancel()
        assert stage.refused() == {"late": 6.25, "soon": 3.5}


async def test_an_event_of_the_inbox_sets_an_instant_too() -> None:
    with staged() as stage:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.conductor.run)
            await anyio.sleep(1.0)
            await stage.send.send(arrived("r", stage.began + 2.5))
            await anyio.sleep(5.0)
            tasks.cancel_scope.cancel()
        assert stage.refused() == {"r": 2.5}


async def test_an_idle_conductor_beats_all_the_same() -> None:
    with staged() as stage:
        with anyio.move_on_after(LOOK * 3):
            await stage.conductor.run()
        steps = [b - a for a, b in zip(stage.beats, stage.beats[1:], strict=False)]
        assert stage.beats[0] == 0.0
        assert max(steps) == IDLE
        assert stage.beats[-1] > LOOK * 3 - IDLE
        assert len(stage.beats) < 2 * LOOK * 3 / IDLE


async def test_it_stays_responsive_under_many_asks() -> None:
    """Every one is refused at its own deadline, and the inbox is read meanwhile."""
    many, each = 640, 10
    with staged() as stage:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.conductor.run)
            for place in range(many):
                stage.conductor.ask(arrived(f"r{place}", stage.began + 10.0 + place % 100 / 8))
                if place % each == 0:
                    await stage.send.send(sighted(f"n{place // each}:1"))
                    await anyio.sleep(0.01)
                    assert len(stage.watched()) == place // each + 1
            await anyio.sleep(30.0)
            tasks.cancel_scope.cancel()
        due = {f"r{place}": 10.0 + place % 100 / 8 for place in range(many)}
        assert stage.refused() == pytest.approx(due)


async def test_what_breaks_the_machine_while_a_request_asks_ends_the_conductor_too() -> None:
    """The request's own guard sees the crash first; nobody may decide on a half-changed state."""
    send, inbox = anyio.create_memory_object_stream[Event](8)

    def crash(_effect: object) -> None:
        raise ZeroDivisionError

    conductor = Conductor(Machine(Policy(), 0.0), inbox, crash, beat=lambda: None, idle=30.0)
    seen = NodeSighted(node=Address("n:1"), url="http://n:1", source="test")
    async with send, inbox:
        with pytest.raises(ExceptionGroup) as ended:  # noqa: PT012 -- the group ends as a whole
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(conductor.run)
                await anyio.sleep(1.0)
                with pytest.raises(ZeroDivisionError):
                    conductor.ask(seen)
    assert ended.group_contains(BrokenMachineError)
    assert anyio.current_time() == 1.0
