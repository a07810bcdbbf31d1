"""What the configuration leaves out is filled in, for each kind of target by its own rule."""

import pytest

from exo_supervisor.app.policy import policy_of
from exo_supervisor.config.read import read
from exo_supervisor.config.schema import Config, Routing
from exo_supervisor.core.effects import Timers

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
