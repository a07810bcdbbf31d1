"""The client of the old bridge's examples: one call for Exo and for whatever stands in for it."""

from collections.abc import Sequence
from typing import Protocol

from exo_supervisor.bridge.exo_integration import ExoTokenManagerIntegration, Messages, cost_of
from exo_supervisor.bridge.exo_provider import NOBODY
from exo_supervisor.client import AnswerError, Client
from exo_supervisor.client.json_object import Fields


class CloudProvider(Protocol):
    """What may be handed in to stand in for Exo."""

    def chat_completion(
        self, model: str, messages: Messages, **more: object
    ) -> tuple[Fields, str | None]: ...


class UnifiedLLMClient:
    """Asks the service, and the providers that were handed in where nobody there could serve."""

    def __init__(
        self,
        exo_host: str = NOBODY[0],
        exo_port: int = NOBODY[1],
        cloud_providers: Sequence[CloudProvider] | None = None,
    ) -> None:
        self.integration = ExoTokenManagerIntegration(None, exo_host, exo_port)
        self.cloud_providers = list(cloud_providers or ())

    def chat(
        self,
        messages: Messages,
        model: str = "llama-3.2-3b",
        temperature: float = 0.7,
        max_tokens: int = 512,
        prefer_local: bool = True,  # noqa: FBT001, FBT002 - the old signature
        **more: object,
    ) -> Fields:
        """Ask; without `prefer_local` a cloud serves, and is named "Cloud (Forced)"."""
        more = {"temperature": temperature, "max_tokens": max_tokens, **more}
        if not prefer_local:
            return self._forced(model, messages, more)
        response, error, provider = self.integration.route_request(
            model, messages, self._in_turn if self.cloud_providers else None, **more
        )
        return _result(response, error, provider)

    def get_status(self) -> Fields:
        return self.integration.get_unified_status()

    def close(self) -> None:
        self.integration.stop()

    def _forced(self, model: str, messages: Messages, more: Fields) -> Fields:
        response, error = Fields(), None
        try:
            response = Client(route="cloud").chat(messages, model=model, **more).body
        except AnswerError as wrong:
            error = str(wrong)
            if self.cloud_providers:
                response, error = self._in_turn(model, messages, **more)
        return _result(response, error, "Cloud (Forced)")

    def _in_turn(self, model: str, messages: Messages, **more: object) -> tuple[Fields, str | None]:
        wrong: list[str] = []
        for provider in self.cloud_providers:
            response, error = provider.chat_completion(model=model, messages=messages, **more)
            if error is None and response:
                return response, None
            wrong.append(error or "an empty answer")
        return {}, "; ".join(wrong)


def _result(response: Fields, error: str | None, provider: str) -> Fields:
    cost = cost_of(response, provider)
    return {"response": response, "error": error, "provider": provider, "cost": cost}
