"""The YAML fields of the matcher ``contacts``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gatewayd import Matcher

__all__ = ["ContactsOptions"]


class ContactsOptions(Matcher.Options):
    """Whom to link besides the persons who wrote."""

    kinds: tuple[Literal["customer", "supplier"], ...] = Field(
        default=("customer", "supplier"),
        description="What to link besides persons: customers, suppliers or both.",
        min_length=1,
        strict=False,
    )
