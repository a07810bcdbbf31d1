"""The earlier bridge's surface, as its users wrote it, over one running service."""

import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest
from anyio import to_thread

from exo_supervisor import bridge as surface
from exo_supervisor.bridge import (
    ExoBridgeManager,
    ExoClusterProvider,
    ExoNodeStatus,
    ExoReliakitProvider,
    ExoTokenManagerIntegration,
    HealthChecker,
    HealthCheckResult,
    HealthStatus,
    ReliakitSelfHealingManager,
    UnifiedLLMClient,
)
from exo_supervisor.bridge.__main__ import main
from exo_supervisor.demo import Cloud, ExoNode, text
from exo_supervisor.host.credentials import Secret
from exo_supervisor.host.tcp import open_tcp
from tests.app.world import CLOUD_MODEL, EXO_MODEL, KEY, SOON, World, in_process

pytestmark = pytest.mark.real_time
T = TypeVar("T")
Json = dict[str, Any]
MODEL = "llama-3.2-3b"
"""What the old examples ask for."""
TOKEN = "the-token-of-this-listener"
ASK = [{"role": "user", "content": "Hello!"}]
PATH = Path(surface.__file__).parent / "path"

SCRIPT = """
from src.bridge_manager import ExoBridgeManager; bridge = ExoBridgeManager(); bridge.start(); \
result = bridge.chat_completion(messages=[{"role": "user", "content": "Hello"}])
from src import ExoClusterProvider, ExoReliakitProvider, ExoTokenManagerIntegration
from src.reliakit_integration import HealthChecker, ReliakitSelfHealingManager
from exo_integration import ExoTokenManagerIntegration as Other
from exo_provider import ExoNode
from basic_usage import UnifiedLLMClient
from multi_provider_token_manager import MultiProviderTokenManager
assert Other is ExoTokenManagerIntegration
assert MultiProviderTokenManager.__name__ == "EnhancedTokenManager"
bridge.stop()
message = result["response"]["choices"][0]["message"]
print(result["provider_used"], result["error"], message["content"])
"""


async def test_the_old_surface_runs_as_written_over_one_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One house for all of it; what a step changes in it, the step puts back."""
    node, cloud = ExoNode("C", pace=0.0), Cloud(KEY, (CLOUD_MODEL,), pace=0.0)
    listener = open_tcp("127.0.0.1:0")
    rows = [{"name": MODEL, "exo": [EXO_MODEL], "cloud": [f"house-cloud/{CLOUD_MODEL}"]}]
    server = {"tcp": f"127.0.0.1:{listener.getsockname()[1]}"}
    house = in_process(
        node,
        cloud=cloud,
        model=rows,
        server=server,
        tcp=(listener, Secret(TOKEN, "the test")),
        waits=SOON,
    )
    async with node, cloud, house as world:
        await world.ready()
        await world.lines("provider_reached")
        monkeypatch.setenv("EXO_SUPERVISOR_SERVER__SOCKET", world.path)
        monkeypatch.setenv("EXO_SUPERVISOR_TOKEN", TOKEN)
        for step in (
            lambda: _script(world, tmp_path, capsys), lambda: _command_line(capsys),
            lambda: _manager(node.address), lambda: _provider(node.address),
            lambda: _integration(tmp_path), lambda: _reliakit(server["tcp"]), _examples,
        ):  # fmt: skip
            await awaited(step)
        await node.stop()
        await world.ready(0)
        await awaited(_failing_over)
        await node.start()
        await world.ready()
        await awaited(lambda: _recovering(node.address))


def awaited(call: Callable[[], T]) -> Awaitable[T]:
    return to_thread.run_sync(call)


def _script(world: World, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "enhanced_multi_provider_manager.py").write_text("class EnhancedTokenManager: pass")
    assert main(["--path"]) == 0
    path = capsys.readouterr().out.strip()
    assert path == str(PATH)
    environ = {"PYTHONPATH": f"{path}:{folder}", "EXO_SUPERVISOR_SERVER__SOCKET": world.path}
    said = subprocess.check_output(  # noqa: S603 - the script above
        [sys.executable, "-c", SCRIPT], text=True, env=os.environ | environ
    )
    assert said == f"Exo Local None {text(12)}\n"


def _command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--test"]) == 0
    assert capsys.readouterr().out == f"Provider: Exo Local\nResponse: {text(12)}\n"
    assert main(["--test", "--model", "nobody-has-it"]) == 1
    assert "no node and no provider has the model" in capsys.readouterr().err
    command = [sys.executable, "-m", "exo_supervisor.bridge", "--with-hud"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hud:  # noqa: S603 - ours
        assert hud.stdout is not None
        assert "http://127." in hud.stdout.readline()
        hud.send_signal(signal.SIGINT)


def _manager(address: str) -> None:
    bridge = ExoBridgeManager()
    bridge.start()
    result: Json = bridge.chat_completion(messages=ASK, max_tokens=5)
    assert result["response"]["choices"][0]["message"]["content"] == text(5)
    assert (result["error"], result["provider_used"], result["cost"]) == (None, "Exo Local", 0.0)
    assert result["token_info"]["total_input_tokens"] > 0
    assert address in result["detailed_logs"][0]
    assert (result["preprocessing_warnings"], result["healing_actions"]) == ([], [])
    status: Json = bridge.get_status()
    assert status.keys() == {
        "integration", "exo", "recommendation", "cloud_providers", "model_catalog",
    }  # fmt: skip
    assert status["recommendation"]
    assert status["cloud_providers"]["summary"] == {"total": 1, "healthy": 1}
    assert status["model_catalog"]["by_provider"][address] > 0
    assert bridge.preprocess_request(ASK, MODEL)[0] is ASK
    bridge.stop()
    assert not bridge.running


def _provider(address: str) -> None:
    exo = ExoClusterProvider("192.0.2.7", 52415)
    health: Json = exo.check_cluster_health()
    assert health == {
        "healthy_nodes": 1, "offline_nodes": 1, "total_nodes": 2, "cluster_available": True,
        "available_models": [EXO_MODEL],
    }  # fmt: skip
    assert exo.nodes["192.0.2.7:52415"].status is ExoNodeStatus.OFFLINE
    node = exo.get_healthy_node()
    assert node is not None
    assert (node.id, node.endpoint, node.is_healthy()) == (address, f"http://{address}", True)
    assert [each["id"] for each in exo.get_models()] == [EXO_MODEL]
    answer, error = exo.chat_completion(MODEL, ASK, max_tokens=3)
    told: Any = answer["exo_metadata"]
    assert (error, told["node_id"], told["compute_time"] > 0) == (None, address, True)
    assert exo.chat_completion(MODEL, ASK, stream=True)[0] == {}
    assert "no node and no provider" in str(exo.chat_completion("nobody-has-it", ASK)[1])
    usage: Json = exo.get_status()["usage"]  # pyright: ignore[reportAssignmentType]
    assert (usage["total_requests"], usage["avg_compute_time"]) == (1, usage["total_compute_time"])
    exo.reset_usage()
    assert exo.total_requests == 0


def _integration(folder: Path) -> None:
    path = folder / "manager.json"
    integration = ExoTokenManagerIntegration(str(path))
    assert integration.get_provider_config()["models_endpoint"] == "models"
    assert integration.add_to_config()
    assert b"OpenRouter" in path.read_bytes()
    assert integration.remove_from_config()
    assert not path.exists()


def _reliakit(tcp: str) -> None:
    provider = ExoReliakitProvider(ExoTokenManagerIntegration())
    health: Json = provider.health_check()
    assert health.keys() == {
        "healthy", "provider", "nodes", "total_nodes", "latency_ms", "error_rate", "last_check",
    }  # fmt: skip
    assert (health["healthy"], health["provider"], health["nodes"]) == (True, "exo_local", 1)
    assert health["latency_ms"] > 0
    assert 0 <= health["error_rate"] <= 1
    assert provider.attempt_recovery()
    manager = ReliakitSelfHealingManager(ExoBridgeManager(), check_interval=600)
    manager.add_target("exo_node_1", f"http://{tcp}")  # the old bridge's own check, unmodified
    result = manager.force_check("exo_node_1")
    assert isinstance(result, HealthCheckResult)
    assert (result.healthy, result.metadata["status"]) == (True, "ok")
    assert result.to_dict()["status"] == "healthy"


def _examples() -> None:
    """Run the six of the old page: basic, conversation, batch, reliakit, routing, retries."""
    client = UnifiedLLMClient()
    first: Json = client.chat(ASK)
    assert (first["error"], first["provider"], first["cost"]) == (None, "Exo Local", 0.0)
    said = first["response"]["choices"][0]["message"]
    second: Json = client.chat([*ASK, said, {"role": "user", "content": "And?"}])
    assert second["error"] is None
    batch = [client.chat([{"role": "user", "content": str(n)}])["provider"] for n in range(4)]
    assert batch.count("Exo Local") == 4
    reliakit = ExoReliakitProvider(client.integration)
    assert reliakit.health_check()["healthy"] or reliakit.attempt_recovery()
    forced: Json = client.chat(ASK, prefer_local=False)
    assert (forced["provider"], forced["error"]) == ("Cloud (Forced)", None)
    for _ in range(3):
        if client.chat(ASK)["error"] is None:
            break
    else:
        pytest.fail("three times nobody answered")
    assert client.get_status()["recommendation"]
    client.close()


def _failing_over() -> None:
    bridge = ExoBridgeManager()
    result: Json = bridge.chat_completion(messages=ASK)
    assert (result["provider_used"], result["cost"]) == ("Cloud (Failover)", None)
    assert result["healing_actions"][0]["reason"] in ("exo_down", "breaker_open")
    local = ExoTokenManagerIntegration(enable_auto_failover=False)
    assert local.route_request(MODEL, ASK)[2] == "Failed"
    handed = UnifiedLLMClient(cloud_providers=[_Mine({"choices": ["mine"]}, None)])
    mine: Json = handed.chat(ASK, model="nobody-has-it")
    assert (mine["provider"], mine["response"]) == ("Cloud (Failover)", {"choices": ["mine"]})
    failed = UnifiedLLMClient(cloud_providers=[_Mine({}, "no")]).chat(ASK, model="nobody-has-it")
    assert (failed["provider"], failed["response"]) == ("Failed", {})
    assert "the callback: no" in str(failed["error"])
    provider = ExoReliakitProvider(bridge.integration)
    provider.recovery_timeout = 0.0
    assert provider.health_check()["healthy"] is False
    assert provider.attempt_recovery() is False


class _Mine:
    """A provider that somebody handed in."""

    def __init__(self, answer: Json, error: str | None) -> None:
        self._told = answer, error

    def chat_completion(
        self, model: str, messages: Sequence[Mapping[str, object]], **more: object
    ) -> tuple[Json, str | None]:
        assert (model, messages) == ("nobody-has-it", ASK)
        assert more
        return self._told


def _recovering(address: str) -> None:
    """Release a held breaker: the recovery counts once the node was seen to serve."""
    from exo_supervisor.cli import main as verb  # noqa: PLC0415 - a person does this

    assert verb(["breaker", address, "open"]) == 0
    provider = ExoReliakitProvider(ExoTokenManagerIntegration())
    assert provider.health_check()["healthy"] is False
    provider.failed_attempts = 2
    provider.on_failure()
    assert provider.done == [f"{address}: done"]
    assert (provider.failed_attempts, provider.health_check()["healthy"]) == (0, True)


def test_without_a_service_each_says_so_and_nothing_is_made_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXO_SUPERVISOR_SERVER__SOCKET", str(tmp_path / "none"))
    bridge = ExoBridgeManager()
    bridge.start()
    result: Json = bridge.chat_completion(messages=ASK)
    assert (result["response"], result["provider_used"]) == ({}, "None")
    assert "no such file" in result["error"]
    status: Json = bridge.get_status()
    assert (status["exo"]["available"], status["exo"]["nodes"]) == (False, {})
    assert "did not answer" in status["recommendation"]
    provider = ExoReliakitProvider(bridge.integration)
    provider.recovery_timeout = 0.0
    assert provider.health_check()["latency_ms"] is None
    assert not provider.attempt_recovery()
    assert not bridge.integration.add_to_config()


# ------------------------------------------------------------------ health checks by themselves


class Answers(ThreadingHTTPServer):
    daemon_threads = True
    status, body = 200, b"{}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Answers)
        self.send_response(server.status)
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        pass


@pytest.fixture
def target() -> Iterator[Answers]:
    with Answers(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_target_falls_by_degrees_and_comes_back_for_good(target: Answers) -> None:
    """It does not stay recovering for ever, and each of its callbacks is called once."""
    checker = HealthChecker("t", f"http://127.0.0.1:{target.server_port}")
    assert checker.get_stats() == {"target": "t", "status": "healthy", "checks": 0}
    told: list[object] = []
    checker.on_failure(lambda name, error: told.append((name, error)))
    checker.on_recovery(told.append)
    seen = [checker.check().status.value]
    for status, count in ((503, 4), (200, 3)):
        target.status, target.body = status, b"<html>"
        seen += [checker.check().status.value for _ in range(count)]
    assert seen == [
        "healthy", "degraded", "failing", "offline", "offline", "recovering", "healthy", "healthy",
    ]  # fmt: skip
    assert told == [("t", "HTTP 503"), "t"]
    stats: Json = checker.get_stats()
    assert (stats["checks"], stats["recent_success_rate"]) == (8, 0.5)
    assert stats["avg_latency_ms"] > 0


def test_what_cannot_be_reached_is_told() -> None:
    for url in ("http://127.0.0.1:1", "nonsense"):
        result = HealthChecker("t", url).check()
        assert not result.healthy
        assert result.error


def test_the_manager_checks_logs_and_does_not_claim_what_it_did_not_see(
    target: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXO_SUPERVISOR_SERVER__SOCKET", str(tmp_path / "none"))
    manager = ReliakitSelfHealingManager(ExoBridgeManager(), check_interval=600)
    manager.exo.recovery_timeout = 0.0
    began = HealthCheckResult(timestamp=__import__("datetime").datetime.min, healthy=True,
                              status=HealthStatus.HEALTHY, latency_ms=0.0)  # fmt: skip
    target.status = 500
    for name in ("exo_node", "cloud"):
        manager.add_target(name, f"http://127.0.0.1:{target.server_port}")
        for _ in range(3):
            manager.force_check(name)
    assert [each.success for each in manager.recovery_log] == [False, False]
    types = {str(event["type"]) for event in manager.get_events_since(began.timestamp)}
    assert types >= {
        "target_added", "health_check_failed", "status_change", "target_failure", "exo_failover",
        "recovery_failed", "cloud_provider_failure",
    }  # fmt: skip
    with pytest.raises(ValueError, match="no target nobody"):
        manager.force_check("nobody")
    target.status = 200
    for _ in range(2):
        assert isinstance(manager.force_check(), dict)
    manager.start()
    status: Json = manager.get_system_status()
    assert status["manager"]["running"] is True
    assert len(status["recent_recoveries"]) == 2
    assert len(status["recent_events"]) == 20
    assert status["targets"]["cloud"]["status"] == "healthy"
    manager.stop()
    assert [event["type"] for event in manager.event_log][-1] == "manager_stopped"


SIGNATURES: dict[Callable[..., object], str] = {
    ExoBridgeManager: "config_path=None, token_manager_config=None, exo_host='localhost', "
    "exo_port=8000, enable_hud=False, hud_port=8501",
    ExoTokenManagerIntegration: "config_path=None, exo_host='localhost', exo_port=8000, "
    "enable_auto_failover=True, exo_priority=0",
    ExoClusterProvider: "primary_node_host='localhost', primary_node_port=8000, "
    "auto_discover=True, health_check_interval=10, node_timeout=30",
    ExoReliakitProvider: "exo_integration",
    HealthChecker: "target_name, target_url, health_endpoint='/health', check_interval=10, "
    "timeout=5, failure_threshold=3, recovery_threshold=2",
    ReliakitSelfHealingManager: "bridge_manager, check_interval=10, enable_auto_recovery=True",
    UnifiedLLMClient: "exo_host='localhost', exo_port=8000, cloud_providers=None",
    ExoClusterProvider.chat_completion: "self, model, messages, temperature=0.7, "
    "max_tokens=2048, stream=False, **",
    ExoBridgeManager.chat_completion: "self, messages, model='llama-3.2-3b', **",
    ExoTokenManagerIntegration.route_request: "self, model, messages, "
    "cloud_provider_callback=None, **",
    UnifiedLLMClient.chat: "self, messages, model='llama-3.2-3b', temperature=0.7, "
    "max_tokens=512, prefer_local=True, **",
    surface.ExoNode: "id, host, port, device_name, memory_gb, "
    "status=<ExoNodeStatus.DISCOVERING: 'discovering'>, last_seen=None, models=<factory>",
    surface.RecoveryAction: "action_type, target, params=<factory>, timestamp=<factory>, "
    "success=False, error=None",
}


@pytest.mark.parametrize("called", SIGNATURES, ids=lambda called: called.__qualname__)
def test_every_signature_is_the_old_one(called: Callable[..., object]) -> None:
    words = [
        "**" if each.kind is each.VAR_KEYWORD
        else each.name if each.default is each.empty else f"{each.name}={each.default!r}"
        for each in inspect.signature(called).parameters.values()
    ]  # fmt: skip
    assert ", ".join(words) == SIGNATURES[called]
