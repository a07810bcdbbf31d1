"""What a bad configuration looks like to a person: every fault at its place, and exit code 78."""

import os
import sys
from collections.abc import Callable

from exo_supervisor.app import files
from exo_supervisor.app.who import WhoError
from exo_supervisor.cli.errors import BAD_CONFIG, VerbError
from exo_supervisor.cli.parse import Arguments
from exo_supervisor.cli.term import clean, remark
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import Settings
from exo_supervisor.errors import StartError


def load(arguments: Arguments) -> Settings:
    """Read the configuration that is in force. Raises ConfigError and StartError."""
    return files.load(arguments.config, arguments.socket, os.environ)


def guarded(work: Callable[[], int], *, as_json: bool = False) -> int:
    """Do some work; a configuration that stands in its way is told of, fault by fault."""
    try:
        return work()
    except ConfigError as faults:
        if as_json:
            texts = [fault.render() for fault in faults.faults]
            raise VerbError(
                "the configuration is not valid", why=texts, exit_code=BAD_CONFIG
            ) from faults
        remark(clean(str(faults)))
        sys.stderr.flush()
        return BAD_CONFIG
    except files.NoFileError as fault:
        hint = "exo-supervisor check --config FILE, with a file that is there"
        raise VerbError(str(fault), hint=hint, exit_code=BAD_CONFIG) from fault
    except (files.CredentialError, WhoError) as fault:
        raise VerbError(str(fault), exit_code=BAD_CONFIG) from fault
    except StartError as fault:
        raise VerbError(str(fault)) from fault
