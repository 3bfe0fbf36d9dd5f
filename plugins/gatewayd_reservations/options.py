"""The YAML fields of the matcher ``reservations``."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from gatewayd import Matcher

__all__ = ["PlaceToLook", "ReservationsOptions"]

PlaceToLook: TypeAlias = Literal["subject", "text", "attachments"]
_Word = Annotated[str, Field(min_length=1, max_length=100)]


class ReservationsOptions(Matcher.Options, use_attribute_docstrings=False):
    """Where to look for numbers, and how booking codes are made of them."""

    prefixes: tuple[_Word, ...] = Field(
        default=("B", "O", "L"),
        description="What booking codes begin with: B gives the codes B-756 and, for the brand DB1, B-DB1-756.",
        max_length=50,
    )
    brands: tuple[_Word, ...] | None = Field(
        default=None, description="Brands that stand in booking codes; by default the operator's own.", max_length=200
    )
    pattern: str = Field(
        default="[0-9]+",
        description="What a number looks like, as a regular expression; with a group in it, the group is the number.",
        min_length=1,
        max_length=1000,
    )
    places: tuple[PlaceToLook, ...] = Field(
        default=("subject",), description="Where to look: in the subject, the first 64 KiB of the text, the names of attachments."
    )

    @field_validator("prefixes", "places")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one")
        return value

    @field_validator("prefixes")
    @classmethod
    def _one_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        several = next((one for one in value if re.search(r"[\s,;|]", one)), None)
        if several is not None:
            raise ValueError(f"expected each by itself, without blanks, commas and semicolons, found {several!r}")
        return value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"expected a regular expression, but {error}") from None
        if groups > 1:
            raise ValueError(f"expected at most one group, found {groups}; write (?:…) for a group that is not the number")
        return pattern
