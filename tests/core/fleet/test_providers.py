"""A provider is what it lists, what was configured for it, and whether its key works."""

import pytest

from exo_supervisor.core.fleet.provider_keys import KEY_REST
from exo_supervisor.core.fleet.providers import Clouds
from exo_supervisor.core.names import ModelId, ProviderName
from exo_supervisor.core.outcomes import Fault
from exo_supervisor.core.policy import Cloud

P, Q, OFF = ProviderName("p"), ProviderName("q"), ProviderName("off")
X, Y = ModelId("x"), ModelId("y")


@pytest.fixture
def clouds() -> Clouds:
    return Clouds(
        (
            Cloud(Q, "https://q.example", priority=2, models=(X,)),
            Cloud(P, "https://p.example", priority=1),
            Cloud(OFF, "https://off.example", priority=3, keys=0),
        )
    )


def test_priority_orders_them(clouds: Clouds) -> None:
    assert list(clouds.providers) == [P, Q, OFF]
    assert clouds.get("nobody") is None


def test_what_is_configured_limits_what_is_listed(clouds: Clouds) -> None:
    assert clouds.with_model(X) == [Q]
    clouds.listed(P, (X, Y))
    clouds.listed(Q, (X, Y))
    assert (clouds.with_model(X), clouds.with_model(Y)) == ([P, Q], [P])
    clouds.failed(P, "timeout")
    assert clouds.with_model(Y) == [P], "what it listed before still stands"
    clouds.listed(P, (X,))
    assert clouds.with_model(Y) == []


def test_states(clouds: Clouds) -> None:
    provider = clouds.providers[P]
    assert (provider.state(0.0), provider.looked) == ("unknown", False)
    clouds.failed(P, "timeout")
    assert (provider.state(0.0), provider.why, provider.looked) == ("unreachable", "timeout", True)
    clouds.listed(P, ())
    assert (provider.state(0.0), provider.why) == ("ready", "")
    assert clouds.providers[OFF].state(0.0) == "off"
    assert not clouds.providers[OFF].usable(0.0)


def test_a_refused_key_is_left_alone_for_a_while_or_until_it_works(clouds: Clouds) -> None:
    provider = clouds.providers[P]
    clouds.refused_key(P, 0, 100.0, 401)
    assert (provider.usable(100.0), provider.state(100.0), provider.looked) == (
        False, "bad_key", True,
    )  # fmt: skip
    assert provider.usable(100.0 + KEY_REST)
    assert provider.state(100.0 + KEY_REST) == "unknown"
    clouds.took_key(P, 0, 200.0)
    assert (provider.usable(101.0), provider.state(101.0)) == (True, "ready")


def test_reached_is_what_was_seen_last(clouds: Clouds) -> None:
    provider = clouds.providers[P]
    assert not provider.stands_by(0.0), "a key alone proves nothing"
    clouds.failed(P, "status 404 instead of a list of models", answered=True)
    assert (provider.stands_by(0.0), provider.state(0.0)) == (True, "ready")
    for unreached in (Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.TLS):
        clouds.attempted(P, unreached)
        assert (provider.stands_by(0.0), provider.state(0.0)) == (False, "unreachable")
        assert provider.why == f"the last request failed: {unreached.value}"
        clouds.attempted(P, Fault.STALL)
        assert not provider.stands_by(0.0)
        clouds.attempted(P, Fault.BUSY)
        assert (provider.stands_by(0.0), provider.why) == (True, "")
    clouds.refused_key(P, 0, 0.0, 401)
    assert not provider.stands_by(KEY_REST), "a refused key is its last failure"
    clouds.took_key(P, 0, 200.0)
    assert provider.stands_by(0.0)


def test_what_a_provider_does_not_list_is_told_with_what_comes_near(clouds: Clouds) -> None:
    gone = ModelId("org/lama-3")
    assert clouds.unlisted(P, gone) == "", "it gave no list"
    clouds.listed(P, (ModelId("org/Llama-3"), ModelId("other")))
    assert clouds.unlisted(P, gone) == "p does not list org/lama-3; similar: org/Llama-3"
    assert clouds.unlisted(P, ModelId("zzzzzzzz")) == "p does not list zzzzzzzz"
    assert clouds.unlisted(P, ModelId("other")) == ""
    clouds.listed(Q, (Y,))
    assert clouds.unlisted(Q, X) == "q does not list x", "what is configured is no proof"
    assert clouds.with_model(X) == [Q]


def test_a_list_of_what_is_housed_that_comes_after_its_provider_left_is_nobody_s() -> None:
    clouds = Clouds((Cloud(P, "https://p.example"),))
    clouds.follow(())
    clouds.vetted(P, frozenset())
    assert clouds.get(P) is None
