"""`local_only` under every attack on trust, with a recorder at every socket of the service.

Each runs in network and mount namespaces of its own, under strace: what that takes is looked for.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.recorded import ATTACKS
from tests.hostile.trace import read_trace

ROOT = Path(__file__).parent.parent.parent
WAYS = ("rows", "house")
ENTER = ("unshare", "--net", "--mount")
AS_ANYBODY = () if os.geteuid() == 0 else ("--user", "--map-root-user")


def why_not() -> str | None:
    """Say what this machine lacks, or None."""
    missing = [each for each in ("unshare", "strace", "ip") if shutil.which(each) is None]
    if missing:
        return f"recorders are made with {', '.join(missing)}"
    probe = [*ENTER, *AS_ANYBODY, "strace", "-qq", "-e", "trace=none", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:  # noqa: S603 - ours
        return "this machine allows no namespaces, or no strace in them"
    return None


CELLS = [
    pytest.param(
        attack, way, id=f"{attack}-{way}",
        marks=pytest.mark.alone,
    )
    for attack in ATTACKS
    for way in WAYS
]  # fmt: skip


@pytest.mark.parametrize(("attack", "way"), CELLS)
def test_what_must_stay_in_the_house_reaches_trusted_nodes_alone(attack: str, way: str) -> None:
    if missing := why_not():
        pytest.skip(missing)
    if attack == "T2" and os.geteuid() != 0:
        pytest.skip("root alone can be somebody else")
    words = [*ENTER, *AS_ANYBODY, sys.executable, "-m", "tests.hostile.recorded", attack, way]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stdout + done.stderr


SEEN = r"""connect(6<TCP:[11]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr="\x31"}) = -1 E
sendto(6<TCP:[10.0.0.1:1->10.0.0.2:80]>, "\x61\x62", 2, 0, NULL, 0) = 2
sendmsg(6<TCP:[10.0.0.1:1->10.0.0.2:80]>, {msg_iov=[{iov_base="\x63"}, {iov_base="\x64"}]}, 0) = 2
write(2</tmp/log>, "\x61\x62\x63\x64", 4) = 4
write(7<UNIX-STREAM:[5->6,"\x2f\x73"]>, "\x7a", 1) = 1
sendto(8<UDP:[0:5]>, "\x79", 1, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr="\x38"}) = 1
splice(3<pipe:[1]>, NULL, 4<pipe:[2]>, NULL, 1, 0) = 1
+++ exited with 0 +++
"""


def test_the_recorder_sees_whom_a_process_reaches_and_what_it_tells_them(tmp_path: Path) -> None:
    (tmp_path / "trace.1").write_text(SEEN)
    traced = read_trace([tmp_path / "trace.1"])
    assert traced.reached == {"1:80"}
    assert traced.peers_told(b"abcd") == {"10.0.0.2:80"}, "over the writes of one connection"
    assert traced.peers_told(b"y") == {"8:53"}
    assert [ends for ends in traced.peers_told(b"z") if ends.startswith("UNIX")]
    assert traced.unseen == ("splice",)
    (tmp_path / "cut").write_text('write(6<TCP:[1:1->2:2]>, "\\x61"..., 4) = 4\n')
    with pytest.raises(AssertionError, match="not written whole"):
        read_trace([tmp_path / "cut"])
