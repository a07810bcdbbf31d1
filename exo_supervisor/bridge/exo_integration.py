"""Requests that Exo serves, else the cloud; ai-token-manager's entry; Reliakit's methods."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from exo_supervisor.bridge.exo_provider import NOBODY, ExoClusterProvider, local_now
from exo_supervisor.cli import token_manager
from exo_supervisor.cli.errors import VerbError
from exo_supervisor.client import AnswerError, Client, Completion, NoAnswerError
from exo_supervisor.client.calls import TOKEN_VARIABLE
from exo_supervisor.client.json_object import Fields, count, fields, objects

Messages = Sequence[Mapping[str, object]]
Callback = Callable[..., tuple[Fields, str | None]]
LOCAL, CLOUD, FAILED, NONE = "Exo Local", "Cloud (Failover)", "Failed", "None"
_PAUSE = 0.25


class ExoTokenManagerIntegration:
    """Sends requests where the service sends them, and says where that was."""

    def __init__(
        self,
        config_path: str | None = None,
        exo_host: str = NOBODY[0],
        exo_port: int = NOBODY[1],
        enable_auto_failover: bool = True,  # noqa: FBT001, FBT002 - the old signature
        exo_priority: int = 0,
    ) -> None:
        self.config_path = str(Path(config_path or "~/.token_manager_config.json").expanduser())
        self.enable_auto_failover, self.exo_priority = enable_auto_failover, exo_priority
        self.exo_provider = ExoClusterProvider(exo_host, exo_port)
        self.last: Completion | None = None
        """The last answer that the service gave."""

    def get_provider_config(self) -> Fields:
        """Return the entry that an ai-token-manager really loads. Raises AnswerError."""
        return token_manager.entry(_listener())

    def add_to_config(self) -> bool:
        """Put that entry into its file, as `exo-supervisor connect token-manager --write` does."""
        token = os.environ.get(TOKEN_VARIABLE, "")
        try:
            token_manager.write(Path(self.config_path), _listener(), token)
        except (AnswerError, VerbError):
            return False
        return True

    def remove_from_config(self) -> bool:
        """Put that file back as it was."""
        try:
            return token_manager.undo(Path(self.config_path))
        except VerbError:
            return False

    def route_request(
        self,
        model: str,
        messages: Messages,
        cloud_provider_callback: Callback | None = None,
        **more: object,
    ) -> tuple[Fields, str | None, str]:
        """Ask; returns the answer, what is wrong, and who served.

        Failover is the service's own; the callback is asked where nobody there could serve.
        """
        self.last = None
        route = None if self.enable_auto_failover else "exo"
        try:
            self.last = answer = Client(route=route).chat(messages, model=model, **more)
        except AnswerError as error:
            nobody = isinstance(error, NoAnswerError)
            if cloud_provider_callback is None or not self.enable_auto_failover:
                return {}, str(error), NONE if nobody else FAILED
            response, wrong = cloud_provider_callback(model, messages, **more)
            if wrong is None:
                return response, None, CLOUD
            return {}, f"{error}; and the callback: {wrong}", FAILED
        return answer.body, None, LOCAL if ":" in answer.served.target else CLOUD

    def get_unified_status(self) -> Fields:
        """Tell how this, Exo and the service are."""
        try:
            said = str(Client().status().get("summary"))
        except AnswerError as error:
            said = str(error)
        kinds = {"enabled": True, "auto_failover": self.enable_auto_failover}
        return {
            "integration": {**kinds, "priority": self.exo_priority},
            "exo": self.exo_provider.get_status(),
            "recommendation": said,
        }

    def start(self) -> None:
        """Do nothing: the service runs, or `exo-supervisor run` starts it."""

    def stop(self) -> None:
        """Do nothing: the service serves others, too."""


class ExoReliakitProvider:
    """Exo's health in Reliakit's words, and a recovery that acts and is looked at afterwards."""

    def __init__(self, exo_integration: ExoTokenManagerIntegration) -> None:
        self.exo = exo_integration
        self.failed_attempts, self.max_failures = 0, 3
        self.recovery_timeout = 60.0
        self.last_failure_time: datetime | None = None
        self.done: list[str] = []
        """What the last recovery did, and what of it was refused."""

    def health_check(self) -> Fields:
        """Tell how Exo is: latency as the service measured it, errors as a part of its requests."""
        health = self.exo.exo_provider.check_cluster_health()
        rows, requests = list[Fields](), Fields()
        try:
            rows = objects(Client().look("/supervisor/nodes").get("nodes"))
            requests = fields(Client().status().get("requests"))
        except AnswerError:
            pass  # then there is no node above, either
        known = [delay for each in rows if isinstance(delay := each.get("latency"), float)]
        failed, served = count(requests.get("failed")), count(requests.get("served"))
        return {
            "healthy": health["cluster_available"],
            "provider": "exo_local",
            "nodes": health["healthy_nodes"],
            "total_nodes": health["total_nodes"],
            "latency_ms": round(1000 * sum(known) / len(known), 3) if known else None,
            "error_rate": failed / (failed + served) if failed + served else 0.0,
            "last_check": local_now().isoformat(),
        }

    def attempt_recovery(self) -> bool:
        """Release held breakers, place what should stand, and wait until a node serves.

        That takes at most `recovery_timeout` seconds; a recovery that was not seen is none.
        """
        self.done = recover()
        until = time.monotonic() + self.recovery_timeout
        while not (well := self.exo.exo_provider.is_cluster_available):
            if time.monotonic() > until:
                break
            time.sleep(_PAUSE)
        if well:
            self.reset_failure_count()
        return well

    def on_failure(self) -> None:
        """Count a failure; the third asks for a recovery."""
        self.failed_attempts += 1
        self.last_failure_time = local_now()
        if self.failed_attempts >= self.max_failures:
            self.attempt_recovery()

    def reset_failure_count(self) -> None:
        self.failed_attempts, self.last_failure_time = 0, None


def cost_of(response: Fields, provider: str) -> object:
    """Return what an answer cost, None where nobody tells."""
    return 0.0 if provider == LOCAL else fields(response.get("usage")).get("cost")


def recover() -> list[str]:
    """Release held breakers, and place the models that are configured and stand nowhere.

    Returns what was done for what, and what was refused.
    """
    client = Client()
    try:
        held = {str(row.get("target")) for row in objects(client.status().get("held"))}
        missing = [row for row in client.models() if row.get("state") in ("down", "downloaded")]
    except AnswerError as error:
        return [str(error)]
    orders: list[tuple[Callable[[str], Fields], str]] = [(client.release, each) for each in held]
    orders += [(client.place, str(row.get("id"))) for row in missing if not row.get("alias_of")]
    return [_done(order, name) for order, name in orders]


def _done(order: Callable[[str], Fields], name: str) -> str:
    try:
        order(name)
    except AnswerError as error:
        return f"{name}: {error}"
    return f"{name}: done"


def _listener() -> str:
    """Return the URL of the service's TCP listener. Raises AnswerError."""
    server = fields(fields(Client().look("/supervisor/config").get("config")).get("server"))
    tcp = server.get("tcp")
    if not tcp:
        raise NoAnswerError('server.tcp is not set, such as "127.0.0.1:11435"')
    return f"http://{tcp}"
