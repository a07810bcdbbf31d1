"""What the configuration leaves out is filled in, for each kind of target by its own rule."""

from typing import get_args

import pytest
from msgspec import structs

from exo_supervisor.app.policy import policy_of
from exo_supervisor.config.read import read
from exo_supervisor.config.schema import Config, Routing
from exo_supervisor.core.effects import Timers
from exo_supervisor.core.names import Generation
from exo_supervisor.core.policy import ANY_TIMERS, WAITS, Policy
from exo_supervisor.wire.exo.traits import PEERS

CLOUD = '[[provider]]\nname = "p"\nbase_url = "https://p.example/v1"\nkey_env = "K"\n'


def cloud_timers(text: str) -> Timers:
    [cloud] = policy_of(read(text, file="test", environ={}).config, {}).clouds
    return cloud.timers


@pytest.mark.parametrize(
    ("text", "stall"),
    [
        pytest.param(CLOUD, 60.0, id="a cloud's own default"),
        pytest.param(f"[timeouts]\nstall = 5.0\n{CLOUD}", 60.0, id="the nodes' key is theirs"),
        pytest.param(f"{CLOUD}stall = 7.0\n", 7.0, id="its own key"),
    ],
)
def test_the_stall_of_a_cloud_is_its_own(text: str, stall: float) -> None:
    timers = cloud_timers(text)
    assert (timers.stall, timers.first_content) == (stall, 120.0)


def test_a_balance_policy_that_is_not_built_is_not_taken_for_another() -> None:
    config = Config(routing=Routing(policy="weighted"))
    assert policy_of(config, {}).balance == "weighted", "the core refuses it by its name"


def test_the_core_s_defaults_are_the_configuration_s() -> None:
    """Both name their defaults, for whoever reads one of them alone."""
    told, own = policy_of(Config(), {}), Policy()
    for name in ("order", "balance", "patience", "attempts", "budget", "rules", "ready_interval"):
        assert getattr(told, name) == getattr(own, name), name
    assert told.peers["C"].timers == ANY_TIMERS


def test_the_core_is_told_of_every_generation() -> None:
    """One that is missing would be taken for the youngest, without a word."""
    peers = policy_of(read("", file="t", environ={}).config, {}).peers
    assert peers.keys() == set(get_args(Generation))
    assert peers["A"].timers.headers is None, "its head comes with its first token"
    assert peers["A"].timers.first_content == WAITS.legacy_first_content
    assert peers["B"].timers == peers["C"].timers
    for kind, peer in peers.items():
        assert structs.replace(peer, timers=ANY_TIMERS) == PEERS[kind]
