"""Which addresses mean nobody outside."""

from ipaddress import ip_address

import pytest

from exo_supervisor.core.house import in_the_house


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.255.255.255", True), ("172.16.0.0", True), ("172.31.255.255", True),
        ("192.168.0.1", True), ("100.64.0.0", True), ("169.254.1.1", True), ("fd00::1", True),
        ("fe80::1", True), ("11.0.0.0", False), ("172.32.0.0", False), ("192.169.0.0", False),
        ("100.128.0.0", False), ("127.0.0.1", False), ("::1", False), ("2606:4700::1111", False),
    ],
)  # fmt: skip
def test_an_address_is_of_the_house(address: str, *, inside: bool) -> None:
    assert in_the_house(ip_address(address)) is inside
