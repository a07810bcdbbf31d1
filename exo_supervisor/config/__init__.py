"""What `supervisor.toml` may say: structs from a text and a mapping, or every fault in them."""

from exo_supervisor.config.document import decode
from exo_supervisor.config.fault import ConfigError, ConfigFault
from exo_supervisor.config.read import Settings, read
from exo_supervisor.config.render import render
from exo_supervisor.config.schema import (
    BreakerPolicy,
    Config,
    Discovery,
    Health,
    Log,
    Model,
    Provider,
    Retry,
    Routing,
    Server,
    Timeouts,
)
from exo_supervisor.config.shown import without_passwords

__all__ = [
    "BreakerPolicy",
    "Config",
    "ConfigError",
    "ConfigFault",
    "Discovery",
    "Health",
    "Log",
    "Model",
    "Provider",
    "Retry",
    "Routing",
    "Server",
    "Settings",
    "Timeouts",
    "decode",
    "read",
    "render",
    "without_passwords",
]
