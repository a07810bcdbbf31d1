"""Which event loop turns."""

from importlib.util import find_spec


def loop_options() -> dict[str, object]:
    """Return anyio's options for asyncio: uvloop where it is installed, as it is on Linux."""
    return {"use_uvloop": find_spec("uvloop") is not None}
