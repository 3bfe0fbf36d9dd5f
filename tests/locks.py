"""What a lock file says, and what its packages need on each Python that is supported: a lock must name all of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: The Pythons that are supported, as Debian and others have them.
PYTHONS = ("3.11.2", "3.11.15", "3.12.3", "3.13.5")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock file."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version that is locked."""
        return str(self.requirement.specifier).removeprefix("==")

    def is_for(self, python: str) -> bool:
        """Whether it is installed on Linux with this Python."""
        return _applies(self.requirement, python)


def read(path: Path) -> list[Locked]:
    """Return the packages of a lock file."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [_locked(line) for line in lines if line.strip() and not line.startswith("#")]


def _locked(line: str) -> Locked:
    requirement, *hashes = re.split(r"\s--hash=", line)
    return Locked(Requirement(requirement), tuple(map(str.strip, hashes)))


def unmet(locked: Iterable[Locked], wanted: Iterable[Requirement], python: str) -> list[str]:
    """Return what the wanted requirements, or those of the packages that are locked, ask for and the lock doesn't have."""
    return [fault for asked in _walk(locked, wanted, python) if (fault := _fault(*asked, python))]


def reached(locked: Iterable[Locked], wanted: Iterable[Requirement], python: str) -> set[str]:
    """Return the names of the packages that the wanted requirements bring."""
    return {found.name for _, _, found in _walk(locked, wanted, python) if found}


def _walk(locked: Iterable[Locked], wanted: Iterable[Requirement], python: str) -> Iterator[tuple[str, Requirement, Locked | None]]:
    """Yield each requirement with who has it, and what is locked for it."""
    installed = {one.name: one for one in locked if one.is_for(python)}
    waiting = [("pyproject.toml", one, "") for one in wanted]
    done: set[tuple[str, str]] = set()
    while waiting:
        by, requirement, extra = waiting.pop()
        if not _applies(requirement, python, extra):
            continue
        found = installed.get(canonicalize_name(requirement.name))
        yield by, requirement, found
        if found is None or not _fits(requirement, found):
            continue
        for key in {(found.name, one) for one in {"", *requirement.extras}} - done:
            done.add(key)
            waiting += [(key[0], one, key[1]) for one in _needs(found)]


def _fits(requirement: Requirement, found: Locked) -> bool:
    return requirement.specifier.contains(found.version, prereleases=True)


def _fault(by: str, requirement: Requirement, found: Locked | None, python: str) -> str:
    if found is None or not _fits(requirement, found):
        return f"{by} needs {requirement}, but {found.version if found else 'nothing'} is locked for Python {python}"
    missing = requirement.extras - found.requirement.extras
    return f"{by} needs {requirement}, but {found.requirement} is locked without {', '.join(sorted(missing))}" if missing else ""


def _needs(locked: Locked) -> list[Requirement]:
    """Return what a locked package needs, which can be asked of the one that is installed here if it is the same."""
    distribution = metadata.distribution(locked.name)
    assert distribution.version == locked.version, f"{locked.name} is {distribution.version} here, {locked.version} is locked"
    return [Requirement(text) for text in distribution.requires or ()]


def refused(locked: Iterable[Locked], python: str) -> list[str]:
    """Return the locked packages that refuse a Python."""
    names = [one.name for one in locked if one.is_for(python)]
    asked = [(name, SpecifierSet(_runs_on(name))) for name in names]
    return [f"{name} needs Python {versions}" for name, versions in asked if not versions.contains(python)]


def _runs_on(name: str) -> str:
    about = metadata.metadata(name)
    return about["Requires-Python"] if "Requires-Python" in about else ""  # noqa: SIM401  typeshed knows no get


def _applies(requirement: Requirement, python: str, extra: str = "") -> bool:
    if requirement.marker is None:
        return True
    names = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python, "extra": extra}
    return requirement.marker.evaluate({**names, "sys_platform": "linux", "platform_system": "Linux"})
