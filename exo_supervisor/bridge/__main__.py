"""The old bridge's command line: `python -m exo_supervisor.bridge --test`, `--with-hud`, ..."""

import argparse
import sys
from importlib import resources

from exo_supervisor.bridge import ExoBridgeManager
from exo_supervisor.cli import main as verb
from exo_supervisor.client.json_object import fields, objects


def main(argv: list[str] | None = None) -> int:
    """Ask one question with --test, show the service with --with-hud, else its status."""
    parser = argparse.ArgumentParser(
        prog="python -m exo_supervisor.bridge", description=main.__doc__
    )
    parser.add_argument("--config", help="the old YAML file, of which nothing is read")
    parser.add_argument("--exo-host", default="localhost", help="a node that is expected")
    parser.add_argument("--exo-port", default=8000, type=int)
    parser.add_argument("--with-hud", action="store_true", help="open the service's own HUD")
    parser.add_argument("--hud-port", default=8501, type=int, help="has no meaning any more")
    parser.add_argument("--model", default="llama-3.2-3b", help="what --test asks for")
    parser.add_argument("--test", action="store_true", help="ask one question; 1 if that fails")
    parser.add_argument("--path", action="store_true", help="print where the old modules are")
    given = parser.parse_args(argv)
    if given.path:
        print(resources.files("exo_supervisor.bridge") / "path")  # noqa: T201 - it was asked for
        return 0
    bridge = ExoBridgeManager(given.config, None, given.exo_host, given.exo_port, given.with_hud)
    if given.test:
        return _test(bridge, given.model)
    if given.with_hud:
        return verb(["hud"])
    return verb(["status"])


def _test(bridge: ExoBridgeManager, model: str) -> int:
    asked = [{"role": "user", "content": "Hello!"}]
    result = bridge.chat_completion(asked, model, max_tokens=50)
    print(f"Provider: {result['provider_used']}")  # noqa: T201
    if result["error"]:
        print(f"Error: {result['error']}", file=sys.stderr)  # noqa: T201
        return 1
    message = fields(objects(fields(result["response"]).get("choices"))[0].get("message"))
    print(f"Response: {message.get('content')}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
