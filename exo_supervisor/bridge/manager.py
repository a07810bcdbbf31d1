"""The old bridge's main class: chats and status of the running service."""

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from exo_supervisor.bridge.exo_integration import Callback, ExoTokenManagerIntegration, cost_of
from exo_supervisor.bridge.exo_provider import NOBODY
from exo_supervisor.client import AnswerError, Client, Completion
from exo_supervisor.client.json_object import Fields, fields, objects

log = logging.getLogger("exo_supervisor.bridge")


class ExoBridgeManager:
    """Asks the service; it starts and stops none, and listens to no signal.

    `config_path` is the old YAML file: nothing of it has a meaning here, and `exo-supervisor
    config` shows what has. `hud_port` has none, either: the service has one HUD.
    """

    def __init__(
        self,
        config_path: str | None = None,
        token_manager_config: str | None = None,
        exo_host: str = NOBODY[0],
        exo_port: int = NOBODY[1],
        enable_hud: bool = False,  # noqa: FBT001, FBT002 - the old signature
        hud_port: int = 8501,
    ) -> None:
        if config_path is not None:
            log.warning("%s is not read: exo-supervisor config shows what holds", config_path)
        self.config: Fields = {
            "exo": {"primary_host": exo_host, "primary_port": exo_port},
            "failover": {"enabled": True, "prefer_local": True},
            "monitoring": {"enable_hud": enable_hud, "hud_port": hud_port},
            "integration": {"token_manager_config": token_manager_config},
        }
        self.integration = ExoTokenManagerIntegration(token_manager_config, exo_host, exo_port)
        self.enable_hud, self.hud_port = enable_hud, hud_port
        self.running = False

    def start(self) -> None:
        """Look whether the service answers, and say so in the log."""
        self.integration.start()
        self.running = True
        log.info("%s", self.integration.get_unified_status()["recommendation"])

    def stop(self) -> None:
        """Take note; the service goes on."""
        self.integration.stop()
        self.running = False

    def chat_completion(
        self,
        messages: Sequence[Mapping[str, object]],
        model: str = "llama-3.2-3b",
        **more: object,
    ) -> Fields:
        """Ask; `error` is None where the answer is whole, and else `response` is empty."""
        callback = cast("Callback | None", more.pop("cloud_provider_callback", None))
        response, error, provider = self.integration.route_request(
            model, messages, callback, **more
        )
        answer = self.integration.last
        return {
            "response": response,
            "error": error,
            "provider_used": provider,
            "cost": cost_of(response, provider),
            "detailed_logs": [] if answer is None else [_told(answer)],
            "token_info": {
                "total_input_tokens": fields(response.get("usage")).get("prompt_tokens"),
                "model_context_length": _context(model),
                "reserved_for_completion": more.get("max_tokens"),
                "model_encoding": None,
                "truncated": False,  # a prompt is never cut
            },
            "preprocessing_warnings": list[str](),
            "healing_actions": _moves(answer),
        }

    def get_status(self) -> Fields:
        """Tell how the service is, of Exo and of the clouds."""
        listed = self.sync_models()
        return {
            **self.integration.get_unified_status(),
            "cloud_providers": self.get_cloud_provider_health(),
            "model_catalog": {"total_models": len(listed), "by_provider": _by_target(listed)},
        }

    def get_cloud_provider_health(self) -> Fields:
        """Tell of each provider what the service knows of it; the service probes, not this."""
        try:
            rows = objects(Client().status().get("providers"))
        except AnswerError:
            rows = []
        named = {
            str(row.get("name")): {**row, "healthy": row.get("state") == "ready"} for row in rows
        }
        healthy = sum(bool(row["healthy"]) for row in named.values())
        return {"providers": named, "summary": {"total": len(named), "healthy": healthy}}

    def sync_models(self, force: bool = False) -> list[Fields]:  # noqa: FBT001, FBT002 - as it was
        """List the models as they are now: there is no copy of the list that could be old."""
        del force
        try:
            return Client().models()
        except AnswerError:
            return []

    def preprocess_request(
        self,
        messages: Sequence[Mapping[str, object]],
        model: str,
        max_tokens: int | None = None,
    ) -> tuple[Sequence[Mapping[str, object]], Fields, list[str]]:
        """Return the messages as they are: no field of them is dropped, and nothing is cut."""
        told = {"model_context_length": _context(model), "reserved_for_completion": max_tokens}
        return messages, {**told, "truncated": False}, []


def _told(answer: Completion) -> str:
    served = answer.served
    shift = f", shift {served.shift}" if served.shift else ""
    return (
        f"{served.request_id}: {served.target}, {served.model}, attempts {served.attempts}{shift}"
    )


def _moves(answer: Completion | None) -> list[Fields]:
    """Say what the service did so that the request was served all the same."""
    if answer is None or not (answer.served.shift or answer.served.attempts > 1):
        return []
    served = answer.served
    told: Fields = {"action": "failover", "reason": served.shift or "attempt_failed"}
    return [{**told, "target": served.target, "attempts": served.attempts, "success": True}]


def _context(model: str) -> object:
    """Return how many tokens a model takes, None where nobody tells."""
    try:
        rows = objects(Client().look("/v1/models").get("data"))
    except AnswerError:
        return None
    return next((row.get("context_length") for row in rows if row.get("id") == model), None)


def _by_target(models: Sequence[Fields]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for row in models:
        for target in {cast("str", each.get("target")) for each in objects(row.get("where"))}:
            counted[target] = counted.get(target, 0) + 1
    return counted
