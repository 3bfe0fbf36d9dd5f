"""Fields of values that can be read by their former names."""

from __future__ import annotations

import pytest

from gatewayd import Lease


def test_the_holder_of_a_lease_is_read_as_its_owner_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"Lease\.owner is called holder now") as caught:
        assert Lease(account="a", holder="one", epoch=1).owner == "one"
    assert caught[0].filename == __file__
