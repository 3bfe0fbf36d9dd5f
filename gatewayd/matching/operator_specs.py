"""Makes the spec of each operator from the config: which directory and matchers to build, with which options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.roles import Folders, Operator
from gatewayd.matching.values import OperatorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.config import Config

__all__ = ["specs"]


def specs(config: Config) -> Mapping[str, OperatorSpec]:
    """Return every operator's spec, by name."""
    return {
        one.name: OperatorSpec(
            operator=Operator(name=one.name, title=one.title, brands=tuple(one.brands)),
            directory=(one.directory_kind, one.directory_options) if one.directory_kind and one.directory_options else None,
            matchers=tuple(one.matchers),
            place=Folders(config=config.folder, state=config.state / "operators" / one.name),
            faulty=one.faulty,
        )
        for one in config.operators.values()
    }
