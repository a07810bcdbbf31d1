"""Every provider's list of models is kept fresh, and a provider that fails is asked less often."""

import anyio
import pytest
from structlog.testing import capture_logs

from exo_supervisor.core.events import Event, ProviderFailed, ProviderListed, ProviderVetted
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.fleet_io.provider_models import Listing, Source
from exo_supervisor.runtime.fetch import GetError
from tests.runtime.fake_get import FakeGet, note

CLOUD = ProviderName("openrouter")
BASE = "https://cloud.test/api/v1"
KEY = "sk-very-secret"
A, B = ModelId("a"), ModelId("b")
LISTED = ProviderListed(provider=CLOUD, models=(A, B), contexts={B: 4096})
SOURCE = Source(CLOUD, BASE, lambda: KEY)


async def heard(get: FakeGet, seconds: float, *sources: Source) -> list[tuple[float, Event]]:
    """Run the service for a while and return what it said, and when."""
    send, inbox = anyio.create_memory_object_stream[Event](64)
    events: list[tuple[float, Event]] = []

    async with send, inbox, anyio.create_task_group() as tasks:
        tasks.start_soon(note, inbox, events)
        tasks.start_soon(Listing(get, send, sources).run)
        await anyio.sleep(seconds)
        tasks.cancel_scope.cancel()
    return events


async def test_a_provider_is_asked_at_once_and_every_five_minutes() -> None:
    get = FakeGet()
    get.say(f"{BASE}/models", b'{"data":[{"id":"a"},{"id":"b","context_length":4096}]}')
    assert await heard(get, 601.0, SOURCE) == [(at, LISTED) for at in (0.0, 300.0, 600.0)]
    assert get.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_prices_are_taken_from_the_same_read_where_the_list_is_good_for_it() -> None:
    get, told = FakeGet(), list[object]()
    card = b'{"id":"a","pricing":{"prompt":"0.000001","completion":"-1"}}'
    get.say(f"{BASE}/models", b'{"data":[' + card + b',{"id":"b"}]}')
    await heard(get, 1.0, SOURCE._replace(priced=told.append))
    assert told == [{A: None}]
    assert len(get.headers) == 1


async def test_a_provider_that_fails_is_asked_ever_less_often() -> None:
    get = FakeGet()
    get.answers[f"{BASE}/models"] = GetError("refused", "nothing listens there")
    events = await heard(get, 1000.0, SOURCE)
    assert [at for at, _ in events] == [0.0, 10.0, 30.0, 70.0, 150.0, 310.0, 610.0, 910.0]
    failed = ProviderFailed(provider=CLOUD, why="refused", detail="nothing listens there")
    assert {type(event) for _, event in events} == {ProviderFailed}
    assert events[0][1] == failed


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "bad_key"),
        (402, "bad_key"),
        (403, "bad_key"),
        (404, "bad_answer"),
        (500, "bad_answer"),
    ],
)
async def test_a_refused_key_is_told_from_other_failures_and_named_nowhere(
    status: int, why: str
) -> None:
    get = FakeGet()
    get.say(f"{BASE}/models", f'{{"error":"no such key: {KEY}"}}', status)
    with capture_logs() as logs:
        [(_, event)] = await heard(get, 1.0, SOURCE)
    assert isinstance(event, ProviderFailed)
    assert event.why == why
    assert KEY not in repr(event)
    assert KEY not in repr(logs)


@pytest.mark.parametrize("body", [b"", b"no", b'"text"', b"[" * 100_000, b"\xff"])
async def test_no_list_that_a_provider_sends_ends_the_asking(body: bytes) -> None:
    get = FakeGet()
    get.say(f"{BASE}/models", body)
    events = await heard(get, 11.0, SOURCE)
    assert [getattr(event, "why", None) for _, event in events] == ["bad_answer", "bad_answer"]


async def test_a_deaf_provider_delays_no_other_and_costs_its_timeout() -> None:
    other = ProviderName("other")
    get = FakeGet()
    get.delays[f"{BASE}/models"] = 1000.0
    get.say("http://other.test/models", b'["x"]')
    events = await heard(get, 10.5, SOURCE, Source(other, "http://other.test", lambda: None))
    assert events == [
        (0.0, ProviderListed(provider=other, models=(ModelId("x"),))),
        (10.0, ProviderFailed(provider=CLOUD, why="timeout", detail="no answer in time")),
    ]
    keyed = {
        url: "authorization" in sent for (_, url), sent in zip(get.asked, get.headers, strict=True)
    }
    assert keyed == {f"{BASE}/models": True, "http://other.test/models": False}


async def test_a_provider_that_is_back_is_on_its_beat_again() -> None:
    get = FakeGet()
    get.answers[f"{BASE}/models"] = GetError("reset")
    send, inbox = anyio.create_memory_object_stream[Event](64)
    at: list[float] = []
    async with send, inbox, anyio.create_task_group() as tasks:
        tasks.start_soon(Listing(get, send, [SOURCE]).run)
        for _ in range(4):
            await inbox.receive()
            at.append(anyio.current_time())
            if len(at) == 2:
                get.say(f"{BASE}/models", b"[]")
            if len(at) == 3:
                get.answers[f"{BASE}/models"] = GetError("reset")
        await inbox.receive()
        at.append(anyio.current_time())
        tasks.cancel_scope.cancel()
    assert at == [0.0, 10.0, 30.0, 330.0, 340.0]


@pytest.mark.parametrize(
    ("status", "body", "vetted"),
    [
        (200, '{"models":[{"name":"a"},{"name":"b","remote_host":"x"}]}', [frozenset({A})]),
        (200, '{"error":"Unexpected endpoint"}', [None]),
        (404, '{"detail":"Not Found"}', [None]),
        (401, '{"error":"unauthorized"}', [frozenset[ModelId]()]),
        (500, '{"error":"the disk is slow"}', []),
        (503, "", []),
        (302, "", []),
        (429, "", []),
    ],
)
async def test_who_does_not_say_what_it_hands_on_is_not_taken_for_one_that_hands_nothing_on(
    status: int, body: str, vetted: list[frozenset[ModelId] | None]
) -> None:
    get = FakeGet()
    get.say("https://cloud.test/api/api/tags", body, status)
    events = await heard(get, 1.0, SOURCE._replace(local=True))
    told = [event.housed for _, event in events if isinstance(event, ProviderVetted)]
    assert told == vetted
