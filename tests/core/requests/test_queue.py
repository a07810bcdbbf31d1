"""Whoever waits is found by the model that concerns him, and leaves nothing behind."""

from exo_supervisor.core.events import RequestArrived
from exo_supervisor.core.names import ModelId, ProviderName, RequestId
from exo_supervisor.core.requests.candidates import Seen
from exo_supervisor.core.requests.catalog import Route, Tier
from exo_supervisor.core.requests.queue import Waiting
from exo_supervisor.core.requests.request import RequestState

M, N, X = ModelId("m"), ModelId("n"), ModelId("x")
TIERS = (Tier("exo", (M, N)), Tier("cloud", (X,), ProviderName("p")))
R, S = RequestId("r"), RequestId("s")


def state(request: RequestId, *tiers: Tier) -> RequestState:
    event = RequestArrived(request=request, model="chat", deadline=900.0, draw=0.0)
    route = Route("chat", tiers, "exo", local_only=False)
    return RequestState(event, route, tiers, 0.0, Seen(event, frozenset(), local_only=False))


def test_a_request_is_found_by_the_models_that_exo_may_serve_it_with() -> None:
    waiting = Waiting()
    waiting.add(state(R, *TIERS), 1.0)
    waiting.add(state(S, Tier("exo", (N,))), 1.0)
    assert (waiting.for_model(M), waiting.for_model(N)) == ([R], [R, S])
    assert waiting.for_model(X) == [], "a seat at Exo is no use for what a provider is asked for"
    assert waiting.for_model(None) == [R, S]


def test_who_stands_in_the_line_keeps_his_place() -> None:
    waiting = Waiting()
    first, second = state(R, *TIERS), state(S, *TIERS)
    assert [waiting.add(each, 1.0) for each in (first, second, first)] == [True, True, False]
    assert waiting.add(first, 2.0), "it waits for another instant"
    assert (list(waiting), waiting.for_model(M), len(waiting)) == ([R, S], [R, S], 2)


def test_who_leaves_the_line_leaves_nothing_behind() -> None:
    waiting = Waiting()
    first, second = state(R, *TIERS), state(S, *TIERS)
    for each in (first, second):
        waiting.add(each, 1.0)
    waiting.remove(first)
    waiting.remove(first)
    assert first.waiting_until is None
    assert (R in waiting, S in waiting, waiting.for_model(N)) == (False, True, [S])
    waiting.remove(second)
    assert vars(waiting) == vars(Waiting())
