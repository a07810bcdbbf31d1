"""A provider's proxy: which URLs name one, and that what it is told of us is shown nowhere."""

import pytest
from msgspec import json

from exo_supervisor.app.proxies import proxies_of, proxy_of
from exo_supervisor.config.fault import ConfigError
from exo_supervisor.config.read import read
from exo_supervisor.config.render import render
from exo_supervisor.config.shown import without_passwords
from exo_supervisor.http.url import Proxy
from tests.config.test_faults import PROVIDER

SECRET = "pass-word"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("", None),
        ("http://p", Proxy("p", 80)),
        ("http://p:3128/", Proxy("p", 3128)),
        ("http://[::1]:3128", Proxy("::1", 3128)),
        (f"http://me:{SECRET}@p:3128", Proxy("p", 3128, "Basic bWU6cGFzcy13b3Jk")),
    ],
)
def test_what_names_a_proxy_is_one_and_its_password_is_not_shown(
    url: str, proxy: Proxy | None
) -> None:
    settings = read(f'{PROVIDER}proxy = "{url}"\n', file="f.toml", environ={})
    [provider] = settings.config.providers
    assert proxy_of(provider) == proxy
    assert proxies_of(settings.config) == ({} if proxy is None else {"p": proxy})
    shown = render(settings) + json.encode(without_passwords(settings.config)).decode()
    assert SECRET not in shown
    assert ("***@p:3128" in shown) == (SECRET in url)


@pytest.mark.parametrize(
    "url",
    [
        "p:3128", f"https://me:{SECRET}@p", f"socks5://me:{SECRET}@p", f"http://me:{SECRET}@",
        f"http://me:{SECRET}@p/x", f"http://me:{SECRET}@p:0", f"http://{SECRET}@p:x",
        f"http://p?{SECRET}", "http://",
    ],
)  # fmt: skip
def test_what_names_none_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(f'{PROVIDER}proxy = "{url}"\n', file="f.toml", environ={})
    assert "provider.proxy" in str(raised.value)
    assert SECRET not in str(raised.value)
