"""Where a model stands is shown with what went wrong, how far it is, and how often it stands."""

from msgspec import structs

from exo_supervisor.core.events import CardsRead, PlacementRead, ProviderListed
from exo_supervisor.core.fleet.model_facts import NO_FACTS
from exo_supervisor.core.fleet.placed import Placed
from exo_supervisor.core.names import Address, ModelId, NodeId, ProviderName
from exo_supervisor.core.policy import Cloud, ModelRule, Policy
from exo_supervisor.views.advice import advise
from exo_supervisor.views.models import ModelRow, facts_of, models
from tests.core.story import BOTH, CHAT, LOCAL, M, P, Story, X, stand

KEPT = Policy(models=(ModelRule("chat", exo=(M,), keep=True),))


def row(story: Story) -> ModelRow:
    return next(row for row in models(story.machine, story.now, str) if row.id == CHAT.name)


def advice(story: Story) -> list[str]:
    return [line for line in advise(story.machine, story.now) if M in line.split()[0]]


def failing(why: str, words: str) -> Placed:
    one = stand("m", "i1@a:1", why=why)
    instances = tuple(structs.replace(each, detail=words) for each in one.instances)
    return structs.replace(one, instances=instances, detail=words)


def telling(policy: Policy, *placed: Placed) -> Story:
    story = Story(policy)
    story.up("a:1")
    story.tells("a:1", *placed, index=10)
    return story


def test_a_model_whose_runner_failed_is_failed_with_exos_words_and_what_to_do() -> None:
    story = telling(KEPT, failing("runner_failed", "Terminated (signal=9)"))
    shown = row(story)
    assert (shown.state, shown.where[0].why) == ("failed", "runner_failed")
    assert shown.where[0].detail == "Terminated (signal=9)"
    assert advice(story) == [
        (
            "m at a:1: its runner failed (Terminated (signal=9)): "
            "exo-supervisor models remove m, then place"
        )
    ]


def test_a_download_that_failed_ends_the_wait_at_once() -> None:
    story = telling(KEPT, failing("download_failed", "no space left"))
    assert row(story).state == "failed"
    assert "placement_given_up" in story.names()
    assert advice(story) == [
        "m at a:1: its download failed (no space left): exo-supervisor models remove m, then place"
    ]
    assert not story.machine.tables.reconciler.expects((M,)), "no request waits for it"


def test_one_that_is_downloaded_shows_how_far_it_is() -> None:
    half = structs.replace(stand("m", "i1@a:1", why="downloading"), progress="downloading 50 %")
    instances = tuple(structs.replace(one, progress=half.progress) for one in half.instances)
    shown = row(telling(LOCAL, structs.replace(half, instances=instances)))
    assert (shown.state, shown.where[0].progress) == ("loading", "downloading 50 %")


def test_one_that_is_only_on_a_disk_is_downloaded() -> None:
    story = telling(LOCAL)
    assert row(story).state == "down"
    story.tell(
        PlacementRead(
            node=Address("a:1"), listed=(NodeId("a:1#0"),), models=(), index=11,
            downloaded=(M, ModelId("other")),
        )
    )  # fmt: skip
    assert row(story).state == "downloaded"
    story.tells("a:1", index=12)
    assert row(story).state == "downloaded", "nobody asked this time"


def test_more_instances_than_were_asked_for_are_counted_and_said() -> None:
    story = telling(KEPT, stand("m", "i1@a:1", "i2@a:1"))
    assert row(story).instances == 2
    assert advice(story) == [
        "m stands 2 times where one was asked for: exo-supervisor models remove m, then place"
    ]
    by_hand = telling(LOCAL, stand("m", "i1@a:1", "i2@a:1"))
    assert (row(by_hand).instances, advice(by_hand)) == (2, [])


def test_a_name_has_the_least_context_that_a_provider_of_its_tells() -> None:
    """Whoever fills it is sure to be served; nobody who tells none makes it smaller."""
    p, q, x = ProviderName("p"), ProviderName("q"), ModelId("x")
    rule = ModelRule("chat", exo=(M,), cloud=((p, x), (q, x)))
    clouds = (Cloud(p, "http://p"), Cloud(q, "http://q"))
    story = Story(Policy(models=(rule,), clouds=clouds))
    assert facts_of(story.machine, "chat").context == 0
    story.tell(ProviderListed(provider=p, models=(x,), contexts={x: 8192}))
    story.tell(ProviderListed(provider=q, models=(x,)))
    assert facts_of(story.machine, "chat").context == 8192
    story.tell(ProviderListed(provider=q, models=(x,), contexts={x: 4096}))
    told = [
        facts_of(story.machine, name).context for name in ("chat", "x", "p/x", "q/x", "nowhere")
    ]
    assert told == [4096, 4096, 8192, 4096, 0]


def test_a_name_can_what_each_of_its_places_can_that_told_anything() -> None:
    story = Story(BOTH, "a:1")
    assert facts_of(story.machine, "chat").capabilities == ()
    story.tell(CardsRead(node=Address("a:1"), cards={M: ("text", "thinking", "vision")}))
    assert facts_of(story.machine, "chat").capabilities == ("text", "thinking", "vision")
    can = {X: ("vision", "tools", "thinking")}
    story.tell(ProviderListed(provider=P, models=(X,), capabilities=can))
    assert facts_of(story.machine, "chat").capabilities == ("thinking", "vision")
    assert facts_of(story.machine, "p/x").capabilities == can[X]
    story.tell(ProviderListed(provider=P, models=(X,)))
    assert facts_of(story.machine, "p/x").capabilities == (), "its newest list holds"
    assert facts_of(story.machine, "gone/x") == NO_FACTS
