"""Debian with Python and nothing else, booted under systemd-nspawn, for root."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.boot.registries import PORT
from tests.netns.lan import ROOT, Lan, ended

PACKAGES = "systemd,systemd-sysv,dbus,python3,sudo,ca-certificates"
"""Beside Debian's minimum: an init, and what every installed Debian has."""
CACHE = Path("/var/cache/exo-supervisor-boot")
CLONE = "/home/alice/exo-supervisor"
_BOOT = 300.0


def why_not() -> str | None:
    """Say why no machine can be booted here, or None."""
    if os.geteuid() != 0:
        return "only root boots a machine"
    missing = [each for each in ("debootstrap", "systemd-nspawn", "ip") if not shutil.which(each)]
    return f"{' and '.join(missing)} missing: install them first" if missing else None


def base() -> Path:
    """Return a fresh Debian's tree; it is made once, with the mirror that apt uses here."""
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    tree = CACHE / suite
    if tree.exists():
        return tree
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=CACHE))
    words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(draft)]
    done = subprocess.run(  # noqa: S603 - words of this file, and apt's own
        words + mirrors()[:1], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(draft)
        sys.exit(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    draft.chmod(0o755)
    draft.rename(tree)
    return tree


def mirrors() -> list[str]:
    """Return where apt takes Debian's own packages from here; empty leaves it to debootstrap."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN)", "Created-By: Packages"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = [line.split(" ")[0] for line in told.splitlines() if line.endswith(" Debian")]
    return [each for each in found if "security" not in each]


class Machine:
    """A booted machine; commands enter it by its init's namespaces."""

    def __init__(self, tree: Path, init: int) -> None:
        self.tree, self._init = tree, init

    def entering(self, *words: str) -> list[str]:
        """Return the command line that runs words inside, as root."""
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd=/")
        return ["nsenter", f"--target={self._init}", *spaces, "env", "-i", *_ENVIRON, *words]

    def run(self, script: str, user: str = "root", timeout: float = 600) -> tuple[int, str]:
        """Run a shell script to its end as a login of `user`; return its code and output."""
        done = subprocess.run(  # noqa: S603 - words of these tests
            self.entering("su", "--login", user, "-c", script),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
        return done.returncode, done.stdout

    def start(self, script: str, user: str = "root") -> subprocess.Popen[str]:
        """Start a shell script as a login of `user`."""
        return subprocess.Popen(  # noqa: S603 - words of these tests
            self.entering("su", "--login", user, "-c", script),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


_ENVIRON = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")


@contextmanager
def booted(lan: Lan, host: str) -> Generator[Machine]:
    """Boot a new machine on a host of the LAN, with a user `alice`, her clone, and `bob`."""
    debian = base()  # it makes CACHE
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE)))
        tree = place / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", str(debian), str(tree)], check=True)  # noqa: S603, S607
        _configure(tree)
        _clone(tree)
        stack.enter_context(_registries(lan, host, place / "proxy"))
        log = stack.enter_context((place / "console").open("wb"))
        words = [
            *("systemd-nspawn", "--boot", "--quiet", f"--directory={tree}", "--console=pipe"),
            *("--register=no", "--keep-unit", f"--machine=exo-{os.getpid()}"),
            f"--network-namespace-path=/run/netns/{lan.namespace(host)}",
            *_binds(),
        ]
        with subprocess.Popen(  # noqa: S603 - words of this file
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
        ) as nspawn:
            try:
                machine = Machine(tree, _init_of(nspawn))
                code, said = machine.run("systemctl is-system-running --wait", timeout=_BOOT)
                if said.strip() not in {"running", "degraded"}:
                    sys.exit(f"the machine did not boot ({code}): {said}")
                yield machine
            finally:
                nspawn.terminate()
                with suppress(subprocess.TimeoutExpired):
                    nspawn.wait(20)
                nspawn.kill()


def _init_of(nspawn: subprocess.Popen[str]) -> int:
    """Wait for the machine's init, which is nspawn's child, and for its bus."""
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    ready = "until test -S /run/systemd/private; do sleep 0.1; done"
    while nspawn.poll() is None:
        for child in children.read_text().split():
            with suppress(OSError):  # the first child makes way for the init
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    words = ["nsenter", f"--target={child}", "--mount", "--pid", "--root"]
                    subprocess.run([*words, "sh", "-c", ready], check=True, timeout=_BOOT)  # noqa: S603
                    return int(child)
        time.sleep(0.05)
    sys.exit("systemd-nspawn ended: this machine cannot boot another")


def _configure(tree: Path) -> None:
    """Let pip and apt reach what they reach outside, and make the people."""
    proxy = f"http://127.0.0.1:{PORT}"
    options = {"proxy": proxy, "disable-pip-version-check": "1", **_pip()}
    lines = [f"{name} = {value}" for name, value in options.items()]
    (tree / "etc/pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    dumped = subprocess.run(
        ["apt-config", "dump", "Acquire"],  # noqa: S607 - Debian's
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    kept = [line for line in dumped.splitlines() if "::Check-" in line]
    kept.append(f'Acquire::http::Proxy "{proxy}";')
    (tree / "etc/apt/apt.conf.d/99outside").write_text("\n".join([*kept, ""]))
    (tree / "etc/hostname").write_text("debian\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 debian\n")
    for user in ("alice", "bob"):
        subprocess.run(  # noqa: S603 - words of this file
            ["chroot", str(tree), "useradd", "--create-home", "--shell", "/bin/bash", user],  # noqa: S607
            check=True,
        )
    rule = tree / "etc/sudoers.d/alice"
    rule.write_text("alice ALL=(ALL) NOPASSWD: ALL\n")
    rule.chmod(0o440)


def _pip() -> dict[str, str]:
    """Return what pip is told here, by its files and by the environment; the latter wins."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.findall(r"^(global|:env:)\.([\w-]+)='(.*)'$", told, re.MULTILINE)
    ordered = sorted(found, key=lambda each: each[0] == ":env:")
    return {name: value for _, name, value in ordered if name != "proxy"}


def _binds() -> list[str]:
    """Return nspawn's words for the files that pip's configuration names."""
    paths = [value for value in _pip().values() if value.startswith("/") and Path(value).exists()]
    return [f"--bind-ro={path}" for path in dict.fromkeys(paths)]


def _clone(tree: Path) -> None:
    """Put what git has of this tree where alice has cloned it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    clone = tree / CLONE.removeprefix("/")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    owner = (tree / "home/alice").stat()
    for path in (clone, *clone.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def _registries(lan: Lan, host: str, path: Path) -> Generator[None]:
    program = "tests.boot.registries"
    outside = subprocess.Popen(  # noqa: S603 - words of this file
        [sys.executable, "-m", program, "proxy", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with ended(outside):
        assert outside.stdout is not None
        assert outside.stdout.readline() == "up\n"
        with ended(lan.start(host, program, "door", str(path))) as inside:
            assert inside.stdout is not None
            assert inside.stdout.readline() == "up\n"
            yield
