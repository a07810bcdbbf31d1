"""Whatever an Exo of three nodes goes through, a kept model stands once in the end, and lasts."""

import pytest

from tests.core.keep import BrokenKeepError, Keep, live
from tests.core.keep_deep import main


@pytest.mark.parametrize("seed", range(4))
def test_one_supervisor_never_makes_two(seed: int) -> None:
    assert live(seed, 1).exo.most == 1


@pytest.mark.parametrize("seed", range(2))
def test_of_two_supervisors_one_instance_lasts(seed: int) -> None:
    live(seed, 2)


def test_a_broken_promise_tells_its_story() -> None:
    keep = Keep(3, 1)
    keep.trouble(20.0)
    with pytest.raises(BrokenKeepError, match=r"(?s)elect|part|kill|boot|stick|restart.*seed 3"):
        keep.check(promise=False, text="broken")


def test_the_command_lives_through_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--first", "100", "--seeds", "2"]) == 0
    assert capsys.readouterr().out.count("one each") == 2
