"""The YAML fields of the matcher ``contacts``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from gatewayd import Matcher

__all__ = ["ContactsOptions"]


class ContactsOptions(Matcher.Options, use_attribute_docstrings=False):
    """Whom to link besides the persons who wrote."""

    kinds: tuple[Literal["customer", "supplier"], ...] = Field(
        default=("customer", "supplier"), description="What to link besides persons: customers, suppliers or both."
    )

    @field_validator("kinds")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one")
        return value
