"""Virtual time: trio's clock, and naps that are scopes of it."""

import anyio

from exo_supervisor.runtime.timing import Timing


class _Nap:
    def __init__(self, until: float) -> None:
        self._scope = anyio.CancelScope(deadline=until)

    def wake(self) -> None:
        self._scope.cancel()

    async def over(self) -> None:
        with self._scope:
            await anyio.sleep_forever()


def virtual() -> Timing:
    """Tell the time of the test that runs."""
    return Timing(anyio.current_time, _Nap)
