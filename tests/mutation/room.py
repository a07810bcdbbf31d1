"""The rooms of the package, and the tests that speak for each."""

from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "exo_supervisor"

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


ALSO = {
    "serve": (
        "app/test_defaults.py",
        "app/test_events.py",
        "app/test_hud.py",
        "app/test_inspect.py",
    )
}
"""Tests of a room that stand elsewhere, since they need all the others to be there."""


def tests_of(room: str) -> list[Path]:
    """List a room's own test files: few others are asked, which can only lower the figure."""
    own = sorted((ROOT / "tests" / room).rglob("test_*.py"))
    also = (ROOT / "tests" / each for each in ALSO.get(room, ()))
    return [*own, *(each for each in also if each.exists())]
