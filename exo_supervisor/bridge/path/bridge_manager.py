"""The old module of this name."""

import sys

from exo_supervisor.bridge import ExoBridgeManager
from exo_supervisor.bridge.__main__ import main

__all__ = ["ExoBridgeManager", "main"]

if __name__ == "__main__":
    sys.exit(main())
