"""The command line, as `python -m exo_supervisor`."""

import sys

from exo_supervisor.cli import main

sys.exit(main())
