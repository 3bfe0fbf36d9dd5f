"""The directory ``csv``: an operator's records in a folder of CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import hookimpl
from gatewayd_csv.directory import Csv

if TYPE_CHECKING:
    from gatewayd import Directory

__all__ = ["gatewayd_directories"]


@hookimpl
def gatewayd_directories() -> list[type[Directory]]:
    """See ``gatewayd.api.hookspecs``."""
    return [Csv]
