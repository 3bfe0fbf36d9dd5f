"""An alarm for tests."""

from __future__ import annotations

from gatewayd import Alarm


def alarm(name: str = "sales", error: str = "the log-in as anna was refused", advice: str = "Correct the password.") -> Alarm:
    return Alarm(kind="account", name=name, error=error, advice=advice)
