"""What of a configuration people and programs are shown: all of it but what a proxy is told."""

import re

from msgspec import structs

from exo_supervisor.config.schema import Config

_PASSWORD = re.compile(r"//.*@")


def without_passwords(config: Config) -> Config:
    """Hide the credentials in proxies' URLs: they stand in the file and nowhere else."""
    providers = tuple(
        structs.replace(each, proxy=_PASSWORD.sub("//***@", each.proxy))
        for each in config.providers
    )
    return structs.replace(config, providers=providers)
