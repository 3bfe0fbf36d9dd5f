"""Names that deliveries and stores had in the release before: they work, and warn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import Delivery
from gatewayd.api.store.outbox import OutboxVerbs

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_a_deliverys_lane_is_its_destination_and_warns() -> None:
    delivery = Delivery(forwarder="webhook", target="duty", to=("duty",), cause="rule 1", message_id="<1@x.example>")
    with pytest.warns(DeprecationWarning, match="Delivery.lane is called destination now"):
        assert delivery.lane("acme") == delivery.destination("acme") == "target acme/duty"


def test_the_lanes_of_a_store_are_its_destinations_and_it_is_warned_of() -> None:
    with pytest.warns(DeprecationWarning, match="Old.lanes is called destinations now"):

        class Old(OutboxVerbs):
            def lanes(self, **_: object) -> Mapping[str, float]:
                return {"account out": 1.0}

    assert "destinations" not in Old.__abstractmethods__
    assert Old.destinations is Old.lanes
