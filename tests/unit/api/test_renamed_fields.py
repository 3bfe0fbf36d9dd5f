"""Fields of values that can be read by their former names."""

from __future__ import annotations

import pytest

from gatewayd import Lease
from gatewayd.testing.contracts.custodian import make_filing


def test_the_holder_of_a_lease_is_read_as_its_owner_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"Lease\.owner is called holder now") as caught:
        assert Lease(account="a", holder="one", epoch=1).owner == "one"
    assert caught[0].filename == __file__


def test_the_user_of_personal_mail_is_read_as_its_owner_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"Filing\.owner is called user now") as caught:
        assert make_filing("acme", user="irina").owner == "irina"
    assert caught[0].filename == __file__
