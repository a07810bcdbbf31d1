"""The proxies that lead to some providers."""

from exo_supervisor.config.schema import Config, Provider
from exo_supervisor.http.url import Proxy, read_proxy


def proxy_of(provider: Provider) -> Proxy | None:
    """Return what leads to a provider; None: nothing stands between."""
    return read_proxy(provider.proxy) if provider.proxy else None


def proxies_of(config: Config) -> dict[str, Proxy]:
    """Return the proxies by their provider's name."""
    found = {each.name: proxy_of(each) for each in config.providers}
    return {name: proxy for name, proxy in found.items() if proxy is not None}
