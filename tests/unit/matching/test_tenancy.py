"""What comes back of a delivery is filed for whose delivery it is, and for nobody else (P6)."""

from __future__ import annotations

import pytest

from gatewayd import Filing, Forwarder, Origin
from gatewayd.config import AccountConfig, ImportConfig
from gatewayd.matching.tenancy import owned


def account(*operators: str, user: str | None = None) -> AccountConfig:
    imports = ImportConfig(error_queue="desk")
    return AccountConfig(name="box", kind="fake", operators=operators, user=user, options=Forwarder.Options(), imports=imports)


def of(*whose: str) -> list[Origin]:
    """Return origins: ``acme`` or ``acme/irina``."""
    return [Origin(message_id="<1@x>", operator=one.partition("/")[0], user=one.partition("/")[2] or None) for one in whose]


def filings(*operators: str) -> list[Filing]:
    return [Filing(operator=one, user=None) for one in operators]


SHARED = account("acme", "globetrot")


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([], [("acme", None), ("globetrot", None)]),
        (["acme/irina"], [("acme", "irina")]),
        (["globetrot", "acme/irina"], [("acme", "irina")]),
        (["acme/ben", "acme/irina"], [("acme", "ben")]),
        (["globetrot/tom", "acme/irina"], [("globetrot", "tom")]),
        (["third/ann"], [("third", "ann")]),
        (["acme"], [("acme", None)]),
        (["acme", "globetrot"], [("acme", None), ("globetrot", None)]),
        (["third"], [("acme", None), ("globetrot", None)]),
        (["third", "globetrot"], [("globetrot", None)]),
    ],
)
def test_P6_what_comes_back_is_for_those_whose_delivery_it_was(origins: list[str], expected: list[tuple[str, str | None]]) -> None:
    found = owned(SHARED, filings("acme", "globetrot"), of(*origins))
    assert [(one.operator, one.user) for one in found] == expected


def test_P6_what_comes_back_needs_no_admission() -> None:
    assert [one.operator for one in owned(SHARED, filings("globetrot"), of("acme"))] == ["acme"]
    (hers,) = owned(SHARED, [], of("acme/irina"))
    assert (hers.operator, hers.user, hers.queue) == ("acme", "irina", "desk")


def test_P6_what_comes_to_a_users_own_mailbox_is_that_users() -> None:
    hers = [Filing(operator="acme", user="ben")]
    assert owned(account("acme", user="ben"), hers, of("acme/irina", "globetrot")) is hers
