"""An order reaches its request once, and a cancel only the attempt that it means."""

import anyio
import pytest
from msgspec import structs

from exo_supervisor.core.effects import CancelAttempt, KeepAwake, Refuse, StartAttempt, Timers
from exo_supervisor.core.names import Address, ModelId, RequestId
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.serve.mailbox import Mailbox, Mailboxes, Order

R, S = RequestId("r"), RequestId("s")


def start(attempt: int, request: RequestId = R) -> StartAttempt:
    return StartAttempt(
        request=request,
        attempt=attempt,
        target=Address("n:1"),
        url="http://n:1",
        model=ModelId("m"),
        generation="C",
        timers=Timers(2.0, 8.0, 30.0, 300.0, 20.0),
        shift=None,
    )


def cancel(attempt: int) -> CancelAttempt:
    return CancelAttempt(request=R, attempt=attempt, fault=Fault.STATE_LOST)


REFUSAL = Refuse(request=R, status=503, code="no_target", message="none")


async def test_an_order_that_is_there_is_taken_without_a_task_switch() -> None:
    box, switched = Mailbox(), False

    async def other() -> None:
        nonlocal switched
        switched = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        box.put(REFUSAL)
        assert await box.take() is REFUSAL
        assert not switched


async def test_who_waits_gets_each_order_once() -> None:
    box = Mailbox()
    taken: list[Order] = []

    async def put() -> None:
        for order in (start(1), start(2), REFUSAL):
            await anyio.sleep(1.0)
            box.put(order)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put)
        for _ in range(3):
            taken.append(await box.take())  # noqa: PERF401
        with anyio.move_on_after(5.0) as scope:
            await box.take()
        assert scope.cancelled_caught
    assert taken == [start(1), start(2), REFUSAL]


async def test_a_wait_that_is_cancelled_loses_no_order() -> None:
    box = Mailbox()
    with anyio.move_on_after(1.0):
        await box.take()
    box.put(REFUSAL)
    assert await box.take() is REFUSAL


async def test_a_cancel_ends_what_its_attempt_waits_for() -> None:
    box = Mailbox()
    box.put(start(3))
    await box.take()
    with anyio.CancelScope() as scope:
        box.scope = scope
        box.cancel(cancel(3))
        await anyio.sleep_forever()
    assert box.cancelled is Fault.STATE_LOST


@pytest.mark.parametrize("attempt", [1, 2, 4])
async def test_a_cancel_of_another_attempt_changes_nothing(attempt: int) -> None:
    box = Mailbox()
    box.put(start(3))
    await box.take()
    box.scope = scope = anyio.CancelScope()
    box.cancel(cancel(attempt))
    assert box.cancelled is None
    assert not scope.cancel_called


async def test_a_cancel_does_not_outlive_its_attempt() -> None:
    box = Mailbox()
    box.put(start(1))
    await box.take()
    box.cancel(cancel(1))
    assert box.cancelled is Fault.STATE_LOST
    box.put(start(2))
    await box.take()
    assert box.cancelled is None


@pytest.mark.parametrize(
    ("lived_at", "ends"), [(None, True), (4.0, True), (5.0, True), (5.5, False)]
)
async def test_a_cancel_spares_what_made_progress_after_it_was_thought_dead(
    lived_at: float | None, *, ends: bool
) -> None:
    box = Mailbox()
    box.put(start(3))
    await box.take()
    box.lived_at = lived_at
    box.cancel(structs.replace(cancel(3), unless_after=5.0))
    assert (box.cancelled is not None) == ends


@pytest.mark.parametrize("attempt", [1, 2])
async def test_an_attempt_that_is_vouched_for_is_woken_and_no_other(attempt: int) -> None:
    box = Mailbox()
    box.put(start(2))
    await box.take()
    box.scope = scope = anyio.CancelScope()
    box.vouch(KeepAwake(request=R, attempt=attempt))
    assert (box.keep_awake, scope.cancel_called) == (attempt == 2, attempt == 2)
    assert box.cancelled is None
    box.put(start(3))
    await box.take()
    assert not box.keep_awake


async def test_a_target_lived_when_the_last_of_its_answers_made_progress() -> None:
    boxes, n, other = Mailboxes(), Address("n:1"), Address("o:1")
    with boxes.open(R) as first, boxes.open(S) as second:
        assert boxes.lived_at(n) is None
        for box in (first, second):
            box.put(start(1))
            await box.take()
        assert boxes.lived_at(n) is None, "an attempt is no progress"
        first.lived_at = 3.0
        assert boxes.lived_at(n) == 3.0
        second.lived_at = 2.0
        assert (boxes.lived_at(n), boxes.lived_at(other)) == (3.0, None)
        first.put(structs.replace(start(2), target=other))
        await first.take()
        assert (boxes.lived_at(n), boxes.lived_at(other)) == (2.0, None)
    assert boxes.lived_at(n) is None


async def test_effects_find_their_request_and_those_for_a_gone_one_are_dropped() -> None:
    boxes = Mailboxes()
    with boxes.open(R) as mine, boxes.open(S) as other:
        assert len(boxes) == 2
        boxes.deliver(start(1, S))
        boxes.deliver(REFUSAL)
        assert await mine.take() is REFUSAL
        assert await other.take() == start(1, S)
        boxes.deliver(start(5))
        await mine.take()
        boxes.deliver(KeepAwake(request=R, attempt=5))
        assert (mine.keep_awake, other.keep_awake) == (True, False)
        boxes.deliver(cancel(5))
        assert (mine.cancelled, other.cancelled) == (Fault.STATE_LOST, None)
    assert len(boxes) == 0
    for late in (REFUSAL, start(1), cancel(1)):
        boxes.deliver(late)
    assert len(boxes) == 0


async def test_a_mailbox_leaves_with_its_request_however_that_ends() -> None:
    boxes = Mailboxes()
    with pytest.raises(ValueError, match="boom"), boxes.open(R):
        raise ValueError("boom")
    with anyio.move_on_after(1.0), boxes.open(R) as box:
        await box.take()
    assert len(boxes) == 0
