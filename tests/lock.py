"""`python -m tests.lock`: writes `requirements.lock` anew; it takes `uv` (`pip install uv`).

Every version that the service is installed with, and what builds it, for each system and Python
that we support, each file by its hash. Where they come from is pip's own configuration.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
HEAD = """\
# What the service is installed with, each file by its hash; `python -m tests.lock` writes it anew.
"""


def main() -> None:
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is not here: pip install uv")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    builders = "\n".join(project["build-system"]["requires"])
    words = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
    words += ["--python-version", "3.11", "--no-annotate", "--no-emit-index-url"]
    done = subprocess.run(  # noqa: S603 - words of this file
        [*words, "pyproject.toml", "-"],
        cwd=ROOT,
        input=builders,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    LOCK.write_text(HEAD + done.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
