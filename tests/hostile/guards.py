"""The red twin of every privacy test: each guard taken out of a copy of the tree, one at a time.

`python -m tests.hostile.guards` prints a line for each, and fails if the tests did not notice one.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

ROOT = Path(__file__).parents[2]
CORE, SERVE, APP = "exo_supervisor/core", "exo_supervisor/serve", "exo_supervisor/app"


class Guard(Struct, frozen=True):
    """What keeps a request in the house: where it stands, what is put in its place, who notices."""

    what: str
    file: str
    stands: str
    instead: str
    tests: str


GUARDS = (
    Guard(
        "the request's header", f"{SERVE}/request_headers.py",
        "    return value is not None\n", "    return False\n",
        "tests/serve/test_request_headers.py",
    ),
    Guard(
        "what the header says reaches the core", f"{SERVE}/reports.py",
        "local_only=headers.local_only", "local_only=False",
        "tests/hostile/test_private_faults.py",
    ),
    Guard(
        "the client's rule", f"{CORE}/requests/clients.py",
        "local_only=event.local_only or rule.local_only", "local_only=event.local_only",
        "tests/core/test_clients.py",
    ),
    Guard(
        "the client's rule is its own", f"{SERVE}/clients.py",
        "if uid in row.uids or row.gids & gids", "if row.gids & gids",
        "tests/app/test_clients.py",
    ),
    Guard(
        "the client's rule, from the file", f"{APP}/policy.py",
        'local_only=client.privacy == "local_only"', "local_only=False",
        "tests/hostile/test_private_faults.py",
    ),
    Guard(
        "a client's rule that comes meanwhile", f"{CORE}/requests/privacy.py",
        "stays = stays or clients.rule_of(state.event.client).local_only", "pass",
        "tests/core/test_clients.py",
    ),
    Guard(
        "the model's row", f"{APP}/policy.py",
        'local_only=model.privacy == "local_only"', "local_only=False",
        "tests/hostile/test_private_faults.py",
    ),
    Guard(
        "a row on the way", f"{CORE}/requests/rows.py",
        "return any(self._rules[name].local_only for name in passed)", "return rule.local_only",
        "tests/core/test_standing_in.py",
    ),
    Guard(
        "a row's ids under other names", f"{CORE}/requests/catalog.py",
        "return any(name in self._private or self._rows.keeps(name) for name in names)",
        "return False",
        "tests/core/test_privacy.py",
    ),
    Guard(
        "a row asked for within a client's models", f"{CORE}/requests/catalog.py",
        "within, local_only=found.local_only,", "within, local_only=False,",
        "tests/core/test_clients.py",
    ),
    Guard(
        "the whole house", f"{APP}/policy.py",
        'local_only=routing.privacy == "local_only"', "local_only=False",
        "tests/hostile/test_private_faults.py",
    ),
    Guard(
        "the whole house holds for each route", f"{CORE}/requests/catalog.py",
        "stays = local_only or self._policy.local_only", "stays = local_only",
        "tests/core/test_privacy.py",
    ),
    Guard(
        "the way of a healthy house", f"{CORE}/requests/healthy.py",
        " or event.local_only:", ":",
        "tests/core/test_privacy.py",
    ),
    Guard(
        "the tiers of a request that stays", f"{CORE}/requests/intake.py",
        'tiers = tuple(tier for tier in tiers if tier.side == "exo")\n        if', "if",
        "tests/core/test_privacy.py",
    ),
    Guard(
        "no provider for what stays, whatever the policy was", f"{CORE}/requests/candidates.py",
        "if provider is None or (seen.local_only and not provider.cloud.local):",
        "if provider is None:",
        "tests/core/test_policy_changed.py",
    ),
    Guard(
        "trusted nodes alone", f"{CORE}/requests/request.py",
        "local_only=stays, home=at)", "local_only=False, home=at)",
        "tests/core/fleet/test_trust.py",
    ),
    Guard(
        "no list is asked for in such a house", f"{APP}/policy.py",
        'if config.routing.privacy != "local_only":', "if True:",
        "tests/hostile/test_private_faults.py",
    ),
    Guard(
        "an inspection and a request's header", f"{SERVE}/inspector.py",
        "return kept or headers.local_only or", "return kept or",
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "an inspection and a client's rule", f"{SERVE}/inspector.py",
        "headers.local_only or rule.local_only", "headers.local_only",
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "an inspection and a model's row, or the whole house", f"{SERVE}/inspector.py",
        "kept = self.catalog.may_be_local_only(model)",
        "kept = False",
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "an inspection and a name that nobody knows yet", f"{CORE}/requests/catalog.py",
        "return isinstance(route, str) or route.local_only",
        "return not isinstance(route, str) and route.local_only",
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "an inspection and a rule that comes meanwhile", f"{SERVE}/inspector.py",
        "if tap.stays():", "if False:",
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "what root inspects is root's", f"{SERVE}/inspector.py",
        "if asker == ROOT or not private]", "]",
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "nobody inspects over TCP", f"{SERVE}/control/inspecting.py",
        "if asker is None:", "if False:",
        "tests/serve/control/test_inspecting.py",
    ),
    Guard(
        "who inspects may give orders", f"{SERVE}/control/inspecting.py",
        'self._authority.check(request, f"inspect {request.method}")', "pass",
        "tests/app/test_who.py",
    ),
    Guard(
        "no key is inspected: headers by their names", "exo_supervisor/wire/redact.py",
        "SECRET if any(part in name for part in _NAMES) else hide(without_named(value))",
        "hide(without_named(value))",
        "tests/wire/test_redact.py",
    ),
    Guard(
        "no key is inspected: in a body", f"{SERVE}/control/inspecting.py",
        '"text": redact(body.text(), hide)', '"text": body.text()',
        "tests/serve/test_inspector.py",
    ),
    Guard(
        "no key is inspected: in pieces", "exo_supervisor/wire/redact.py",
        "if hidden == joined:", "if True:",
        "tests/wire/test_redact.py",
    ),
)  # fmt: skip


def noticed(guard: Guard) -> bool:
    """Say whether any test fails without a guard."""
    with TemporaryDirectory(prefix="guards-") as place:
        tree = Path(place)
        for each in ("exo_supervisor", "tests", "pyproject.toml", "supervisor.toml"):
            source = ROOT / each
            if source.is_dir():
                shutil.copytree(source, tree / each, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / each)
        file = tree / guard.file
        text = file.read_text(encoding="utf-8")
        assert text.count(guard.stands) == 1, f"{guard.what}: its place has changed"
        file.write_text(text.replace(guard.stands, guard.instead), encoding="utf-8")
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", guard.tests]
        done = subprocess.run(words, cwd=tree, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.returncode == 1


def main() -> int:
    """Take each guard out."""
    missed = 0
    for guard in GUARDS:
        seen = noticed(guard)
        missed += not seen
        sys.stdout.write(f"{'red' if seen else 'NOT NOTICED':<12} {guard.what}\n")
        sys.stdout.flush()
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
