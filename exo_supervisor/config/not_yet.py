"""What the file may ask for and this version does not do."""

from collections.abc import Mapping

from exo_supervisor.config.literal import literal
from exo_supervisor.core.balance.choose import POLICIES

_BUILT: Mapping[str, tuple[object, ...]] = {"routing.policy": tuple(POLICIES)}
"Of these keys only these values can be served; every other key is served whole."


def refusal(key: str, value: object) -> str | None:
    """Promise a hint that names the values that are built, if this one is not."""
    built = _BUILT.get(key)
    if built is None or value in built:
        return None
    return "allowed now: " + ", ".join(map(literal, built))
