"""LiteLLM as a library, under the face that all clients have."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any, Final

from anyio import to_thread

from tests.app.clients.sdks import Ask, Chat, Client
from tests.app.world import MODEL, PATIENCE, World

TOKEN: Final = "token-of-the-listener"


class LiteLLM(Chat):
    """It asks over TCP by its own transport, and answers in the shapes of OpenAI's library."""

    def __init__(self, world: World, library: Any) -> None:  # noqa: ANN401 - it need not be there
        self.refused = library.BadGatewayError
        self.broken = library.exceptions.MidStreamFallbackError
        self.create = partial(
            library.acompletion,
            api_base=f"{world.url}/v1",
            api_key=TOKEN,
            max_retries=0,
            timeout=PATIENCE,
        )

    def body(self, ask: Ask) -> dict[str, Any]:
        return super().body(ask) | {"model": f"openai/{MODEL}"}


@asynccontextmanager
async def of_litellm(world: World) -> AsyncGenerator[Client]:
    """Open LiteLLM, whose import takes seconds, in which the service goes on."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches its prices
    library: Any = await to_thread.run_sync(import_module, "litellm")
    library.suppress_debug_info = True  # or it prints advice with each error
    yield LiteLLM(world, library)
