"""How long a provider's head may take is learnt from those that brought content, and from few."""

from msgspec import structs

from exo_supervisor.core.effects import StartAttempt
from exo_supervisor.core.events import ContentSeen
from exo_supervisor.core.load.heads import ENOUGH, KEPT, Heads
from exo_supervisor.core.names import ProviderName, RequestId
from exo_supervisor.core.policy import Cloud, Policy
from tests.core.story import ANY, P, Story, X

ONE = ProviderName("one")
SET = Cloud(P, "https://p.example")
LEARNS = structs.replace(SET, learns_head=True)


def test_until_enough_heads_were_seen_there_is_no_limit() -> None:
    heads = Heads()
    for _ in range(ENOUGH - 1):
        heads.observe(ONE, 0.1)
    assert heads.limit(ONE, 8.0) is None
    heads.observe(ONE, 0.1)
    assert heads.limit(ONE, 8.0) == 8.0
    assert heads.limit(ProviderName("other"), 8.0) is None


def test_the_limit_follows_the_slowest_of_the_last() -> None:
    heads = Heads()
    for took in (30.0, *[5.0] * (KEPT - 1)):
        heads.observe(ONE, took)
    assert heads.limit(ONE, 8.0) == 120.0
    heads.observe(ONE, 1.0)
    assert heads.limit(ONE, 8.0) == 20.0


def limits(cloud: Cloud, head: float | None) -> list[float | None]:
    """Serve requests at a provider, and tell what each head was allowed to take."""
    story = Story(Policy(clouds=(cloud,)))
    found: list[float | None] = []
    for number in range(ENOUGH + 1):
        name = f"r{number}"
        [start] = [each for each in story.ask(name, X) if isinstance(each, StartAttempt)]
        found.append(start.timers.headers)
        story.tell(ContentSeen(request=RequestId(name), attempt=1, ttft=head or 1.0, head=head))
        story.leave(name)
    return found


def test_a_provider_has_all_the_time_for_its_first_heads_and_then_what_it_takes() -> None:
    assert limits(LEARNS, 10.0) == [None] * ENOUGH + [40.0]
    assert limits(LEARNS, 0.2) == [None] * ENOUGH + [ANY.headers]


def test_what_a_person_set_is_not_learnt_and_an_untold_head_teaches_nothing() -> None:
    assert limits(SET, 10.0) == [ANY.headers] * (ENOUGH + 1)
    assert limits(LEARNS, None) == [None] * (ENOUGH + 1)


def test_a_person_may_leave_a_provider_without_a_limit() -> None:
    free = structs.replace(LEARNS, timers=structs.replace(ANY, headers=None))
    assert limits(free, 1.0) == [None] * (ENOUGH + 1)
