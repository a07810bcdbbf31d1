"""URLs lead to one place or nowhere, and never put a second line into a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.http.faults import HttpError, NetworkFault
from exo_supervisor.http.url import Origin, Proxy, read_proxy, split_url


@pytest.mark.parametrize(
    ("url", "origin", "target", "authority"),
    [
        ("http://a/", Origin("http", "a", 80), "/", "a"),
        ("https://a", Origin("https", "a", 443), "/", "a"),
        ("https://A.b:80/v1?x=y#z", Origin("https", "a.b", 80), "/v1?x=y", "a.b:80"),
        ("http://a?b/c", Origin("http", "a", 80), "/?b/c", "a"),
        ("http://a?//", Origin("http", "a", 80), "/?//", "a"),
        ("http://a#b/c", Origin("http", "a", 80), "/", "a"),
        ("http://[::1]:52415/a%2Fb", Origin("http", "::1", 52415), "/a%2Fb", "[::1]:52415"),
        ("http://bücher.example/", Origin("http", "xn--bcher-kva.example", 80), "/",
         "xn--bcher-kva.example"),
    ],
)  # fmt: skip
def test_what_a_url_says(url: str, origin: Origin, target: str, authority: str) -> None:
    assert split_url(url) == (origin, target)
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "", "nonsense", "http://", "http://:1", "ftp://host/", "http://a:99999/", "http://[::1/",
        "http://a:0/", "http://u:secret@a/", "http://a/b c", "http://a b/", "http://a/é",
        "http://%61/", "http://a\\b/", "http://" + "ü" * 70, "http://\xa0/",
    ],
)  # fmt: skip
def test_what_leads_nowhere(url: str) -> None:
    with pytest.raises(HttpError) as raised:
        split_url(url)
    assert raised.value.fault is NetworkFault.BAD_URL
    assert "secret" not in raised.value.detail


@given(st.text(max_size=40))
def test_no_url_writes_more_than_its_line(text: str) -> None:
    for url in (text, f"http://{text}", f"http://a/{text}"):
        try:
            origin, target = split_url(url)
        except HttpError:
            continue
        for said in (origin.authority, target):
            assert said.isascii()
            assert not any(char.isspace() or ord(char) < 33 for char in said)


def test_a_proxy_is_named_with_what_it_asks_of_us_and_shows_none_of_it() -> None:
    assert read_proxy("http://p") == Proxy("p", 80)
    proxy = read_proxy("http://u:p%40ss@p:3128/")
    assert proxy == Proxy("p", 3128, "Basic dTpwQHNz")
    assert repr(proxy) == "Proxy(p:3128)"
    assert read_proxy("http://u@p").authorization == "Basic dTo="
    for url in ("https://p:1", "socks5://p:1", "p:3128", "http://", "http://p:x"):
        with pytest.raises(HttpError) as raised:
            read_proxy(url)
        assert raised.value.fault is NetworkFault.BAD_URL


PARTS = ["http", "https", ":", "//", "/", "a", "b:80", "[::1]", "@", "?", "#", "%2F", "\\", "é"]


@given(st.lists(st.sampled_from(PARTS), max_size=9))
def test_the_short_way_reads_a_url_as_the_long_one(parts: list[str]) -> None:
    def read(url: str) -> object:
        try:
            return split_url(url)
        except HttpError as error:
            return error.detail

    for url in ("".join(parts), "http://" + "".join(parts)):
        assert read(url) == read(url + "#"), "what has a fragment goes the long way"
