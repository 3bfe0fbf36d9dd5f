"""Values that describe a directory: its contents, its condition, and which load of its records a verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gatewayd.api.renamed_fields import HasHolder

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from gatewayd.api.values import Kind

__all__ = ["Basis", "Contents", "DirectoryCondition", "DirectoryHealth", "DirectoryLook", "edition"]

#: How a directory is: not looked at yet, being looked at for long, holding what lies behind it, answering from what lay behind it
#: before, or not able to answer.
DirectoryCondition: TypeAlias = Literal["new", "loading", "current", "outdated", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a directory holds now, as ``Directory.contents`` says it."""

    #: Changes whenever an answer may be another one; empty where the directory can't tell.
    version: str = ""
    #: Why it does not answer from what lies behind it now, such as a file that is gone; empty where it does.
    outdated: str = ""
    #: How many rows it holds, by table.
    rows: tuple[tuple[str, int], ...] = ()
    #: How many EMAIL contacts it holds, as (kind of the owner, contact type, number); None where it can't tell.
    contact_types: tuple[tuple[Kind, str, int], ...] | None = None
    #: What it left out, and what it holds though it looks wrong; all that stands, each with its place.
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    #: Folders in which a changed file means that there is something to refresh.
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """The records by which verdicts are given."""

    #: When the last good load began; None where there was none yet.
    loaded_at: datetime | None = None
    #: See ``edition``.
    version: str = ""
    #: Why the directory is at fault; empty where it is not.
    fault: str = ""

    @property
    def sound(self) -> bool:
        """Whether there was a good load, and the directory is not at fault since."""
        return self.loaded_at is not None and not self.fault

    @property
    def told(self) -> bool:
        """Whether the version is the directory's own word: while it is the same, so are all answers."""
        return bool(self.version) and not self.version.startswith(_UNTOLD)


#: What the version of a directory begins with that tells none, and how many seconds its records count as the same.
_UNTOLD, _SAME = "~", 900


def edition(version: str, loaded_at: datetime | None) -> str:
    """Return the version of a directory's contents; where it tells none, another one each quarter of an hour."""
    if version or loaded_at is None:
        return version
    return f"{_UNTOLD}{int(loaded_at.timestamp() // _SAME)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryHealth(HasHolder):
    """How one operator's directory is (promise P10). Times are UTC."""

    operator: str
    #: The daemon that reports it.
    holder: str = ""
    condition: DirectoryCondition = "new"
    #: When the last good load began, and when it was last looked at.
    loaded_at: datetime | None = None
    looked_at: datetime | None = None
    #: See ``Contents``.
    version: str = ""
    rows: tuple[tuple[str, int], ...] = ()
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    #: What is wrong with it as a whole; empty where nothing is.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLook:
    """The state of a directory when it was looked at."""

    operator: str
    began: datetime
    #: When the last good load began, which may be this look.
    loaded_at: datetime | None
    contents: Contents
    #: Why the directory is at fault; empty where it is not.
    error: str
    #: Faults that the look before did not find.
    news: tuple[str, ...]
    #: The contents have changed since the look before.
    is_new: bool
    #: ``error`` of the look before.
    error_before: str

    @property
    def version(self) -> str:
        """The version of its contents."""
        return edition(self.contents.version, self.loaded_at)

    @property
    def health(self) -> DirectoryHealth:
        """How the directory is, as it is reported to others."""
        return DirectoryHealth(
            operator=self.operator,
            condition="current" if not self.error else "outdated" if self.contents.version else "down",
            loaded_at=self.loaded_at,
            looked_at=self.began,
            version=self.contents.version,
            rows=self.contents.rows,
            faults=self.contents.faults,
            warnings=self.contents.warnings,
            error=self.error,
        )
