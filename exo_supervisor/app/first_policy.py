"""The policy that a service begins with: its configuration's, and what else is known by then."""

from msgspec.structs import replace

from exo_supervisor.app.inputs import Inputs
from exo_supervisor.app.instances import read_own
from exo_supervisor.app.policy import policy_of
from exo_supervisor.app.sources import awaited
from exo_supervisor.core.policy import Policy
from exo_supervisor.discovery.pins import Pins


async def first_policy(given: Inputs, pins: Pins, *, owned: bool) -> Policy:
    """Make it; `pins` are of earlier runs, `owned`: a loopback listener's owner is looked up."""
    config, state = given.config, given.state
    keys = {name: max(1, len(held)) for name, held in given.keys.items()}
    why_off = {**given.missing, **given.why_off}
    configured = policy_of(config, why_off, keys=keys, waits=given.waits)
    own, sources = await read_own(state), awaited(config, state)
    return replace(configured, pins=pins, own=own, awaited=sources, owned=owned)
