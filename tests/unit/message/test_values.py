"""An address as people write it."""

from __future__ import annotations

from gatewayd.message.values import Address


def test_an_address_reads_as_people_write_it() -> None:
    assert str(Address(name="Anna", email="anna@example.com")) == "Anna <anna@example.com>"
    assert str(Address(name="", email="anna@example.com")) == "anna@example.com"
