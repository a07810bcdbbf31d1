"""A service begins with its configuration, and with what earlier runs and the machine tell."""

from pathlib import Path

import pytest

from exo_supervisor.app.first_policy import first_policy
from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.instances import FILE, encode_own
from exo_supervisor.config.read import read
from exo_supervisor.core.effects import OwnInstances
from exo_supervisor.core.names import Address, InstanceId, ModelId
from exo_supervisor.core.policy import Policy
from exo_supervisor.host.credentials import Secret

pytestmark = pytest.mark.real_time  # a file is read in a thread

PINS = ((Address("10.0.0.7:52415"), None),)
OWN = (OwnInstances(ModelId("m"), (InstanceId("i1"),)),)
PROVIDERS = "".join(
    f'[[provider]]\nname = "{name}"\nbase_url = "https://{name}.example/v1"\nkey_env = "K"\n'
    for name in ("two", "none", "off", "missing")
)


async def policy(state: Path | None, *, owned: bool = False, text: str = "") -> Policy:
    config = read(PROVIDERS + text, file="f.toml", environ={}).config
    keys = {"two": (Secret("a", "K"), Secret("b", "K")), "none": (), "missing": (Secret("c", "K"),)}
    given = Inputs(
        config=config, file=None, sockets=[], keys=keys, state=state,
        why_off={"off": "no key"}, missing={"missing": "K2 is not set"},
    )  # fmt: skip
    return await first_policy(given, PINS, owned=owned)


async def test_what_earlier_runs_left_and_what_the_machine_can_tell_is_in_it(
    tmp_path: Path,
) -> None:
    (tmp_path / FILE).write_bytes(encode_own(OWN))
    for owned in (True, False):
        made = await policy(tmp_path, owned=owned)
        assert (made.pins, made.own, made.owned) == (PINS, OWN, owned)
    assert (await policy(None)).own == ()


async def test_the_first_look_waits_for_what_there_is(tmp_path: Path) -> None:
    alone = "[discovery]\nmdns = false\nmulticast = false\n"
    assert (await policy(None, text=alone)).awaited == frozenset()
    assert len((await policy(tmp_path, text=alone)).awaited) == 1
    assert len((await policy(tmp_path)).awaited) == 2


async def test_a_provider_has_as_many_keys_as_were_found_and_is_off_without() -> None:
    clouds = {str(cloud.name): cloud for cloud in (await policy(None)).clouds}
    assert {name: cloud.keys for name, cloud in clouds.items()} == {
        "two": 2, "none": 1, "off": 0, "missing": 1,
    }  # fmt: skip
    assert [clouds[name].why_off for name in ("off", "missing")] == ["no key", "K2 is not set"]
