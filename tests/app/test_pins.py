"""What a person was told of trust is in the file by then, and what is not is said."""

from pathlib import Path

import pytest

from exo_supervisor.app.pins import FILE
from exo_supervisor.demo import ExoNode
from exo_supervisor.discovery.pins import Pins, decode_pins
from tests.app.world import in_process, run

pytestmark = pytest.mark.real_time


async def test_a_word_is_in_the_file_when_it_is_answered(tmp_path: Path) -> None:
    state = tmp_path / "state"

    def kept() -> list[str]:
        pins: Pins = decode_pins((state / FILE).read_bytes())
        return [node for node, _ in pins]

    async with ExoNode("C") as node, in_process(node, state=state) as world:
        await world.ready()
        one = ("nodes", "trust", node.address, "--socket", world.path)
        no_more = ("nodes", "untrust", node.address, "--socket", world.path)
        for _ in range(5):
            assert (await run(*one)).code == 0
            assert kept() == [node.address]
            assert (await run(*no_more)).code == 0
            assert kept() == []


async def test_a_word_that_cannot_be_kept_holds_and_is_said_again_once_it_can(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    async with ExoNode("C") as node, in_process(node, state=state) as world:
        await world.ready()
        words = ("nodes", "{}", node.address, "--socket", world.path)
        trust, untrust = ([word.format(each) for word in words] for each in ("trust", "untrust"))
        assert (await run(*trust)).code == 0
        state.rename(tmp_path / "away")
        state.write_bytes(b"a file in its place")
        ended = await run(*untrust)
        assert (ended.code, ended.out) == (
            1, f"{node.address}: trusted no more, but only until the service restarts\n",
        )  # fmt: skip
        assert f"exo-supervisor nodes untrust {node.address}" in ended.err
        assert (await world.lines("pins_unwritable"))[0]["why"] in ended.err
        state.unlink()
        (tmp_path / "away").rename(state)
        again = await run(*untrust)
        assert (again.code, again.out) == (0, f"{node.address}: nothing to untrust\n")
        assert decode_pins((state / FILE).read_bytes()) == ()
