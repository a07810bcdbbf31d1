"""A headless Chromium. Nothing here costs a run that drives none."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import neither the tests nor playwright where they would not run."""
    unwanted = "not browser" in config.option.markexpr
    return True if unwanted and collection_path.name.startswith("test_") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, where no browser is."""
    absent = pytest.mark.skip(reason="no chromium is here: apt-get install chromium")
    for each in items:
        if CHROMIUM is None and each.get_closest_marker("browser"):
            each.add_marker(absent)


@pytest.fixture
async def browser() -> AsyncGenerator["Browser"]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - see above

    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        await opened.close()
