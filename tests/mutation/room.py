"""The rooms of the package, and the tests that speak for each."""

from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "exo_supervisor"
TESTS = {"http": ("http", "hostile"), "serve": ("serve", "app", "hostile")}
"""Folders of tests that speak for a room, where it is more than the room's own."""

OPTIONS = [
    *("-q", "-s", "--tb=no", "--timeout=0", "--hypothesis-profile=mutation"),
    *("-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"),
]
settings.register_profile(
    "mutation",
    max_examples=25,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def modules_of(asked: list[str]) -> dict[str, Path]:
    """Return the files of the modules, and of all within the rooms, that are asked for."""
    found = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    return {
        module: path
        for module, path in found.items()
        if any(f"{module}.".startswith(f"{each}.") for each in asked)
    }


def tests_of(room: str) -> list[Path]:
    """List the test files that speak for a room."""
    folders = [ROOT / "tests" / name for name in TESTS.get(room, (room,))]
    return [path for folder in folders for path in sorted(folder.rglob("test_*.py"))]
