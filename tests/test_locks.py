"""A lock is installed as it is, without asking what its packages need: so it must name all of it (promise of ./gw and README)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import lock, locks
from tests.e2e.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

TESTING = ROOT / "gatewayd/testing"

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EVERY = pytest.mark.parametrize("name", lock.LOCKS)
EVERY_PYTHON = pytest.mark.parametrize("python", locks.PYTHONS)


def requirements(extras: Iterable[str]) -> list[Requirement]:
    """What the project and some of its extras need, and what builds it."""
    texts = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"], *_brought(extras)]
    return [Requirement(text) for text in texts]


def _brought(extras: Iterable[str]) -> Iterator[str]:
    """What extras bring; one may be made of others."""
    for text in (text for extra in extras for text in PROJECT["project"]["optional-dependencies"][extra]):
        one = Requirement(text)
        yield from _brought(one.extras) if one.name == "gatewayd" else [text]


def wanted(name: str) -> list[Requirement]:
    """What a lock is for."""
    return requirements(word for word in lock.LOCKS[name] if word != "--extra")


@EVERY
@EVERY_PYTHON
def test_a_lock_has_all_that_its_packages_need(name: str, python: str) -> None:
    assert locks.unmet(locks.read(ROOT / name), wanted(name), python) == []


@EVERY
def test_a_lock_names_one_version_of_each_package_with_its_hashes(name: str) -> None:
    locked = locks.read(ROOT / name)
    assert len(locked) > 20
    for one in locked:
        assert [specifier.operator for specifier in one.requirement.specifier] == ["=="], one
        assert "*" not in one.version, one
        assert one.hashes, one
        assert all(one.startswith("sha256:") for one in one.hashes), one
    for python in locks.PYTHONS:
        names = [one.name for one in locked if one.is_for(python)]
        assert len(names) == len(set(names))


@EVERY
@EVERY_PYTHON
def test_every_locked_package_runs_on_every_python_that_is_supported(name: str, python: str) -> None:
    assert locks.refused(locks.read(ROOT / name), python) == []


def test_the_locks_agree() -> None:
    one, other = ({locked.name: locked for locked in locks.read(ROOT / name)} for name in lock.LOCKS)
    assert [name for name, locked in one.items() if other[name].version != locked.version] == []


def test_what_a_lock_lacks_is_found(tmp_path: Path) -> None:
    (name,) = [name for name in lock.LOCKS if "test" in lock.LOCKS[name]]
    text = (ROOT / name).read_text()

    def lacks(old: str, new: str) -> list[str]:
        assert old in text
        (tmp_path / "lock").write_text(text.replace(old, new))
        return locks.unmet(locks.read(tmp_path / "lock"), wanted(name), "3.13.5")

    assert "without toml" in lacks("coverage[toml]==", "coverage==")[0]
    assert "pluggy" in lacks("\npluggy==", "\nother==")[0]
    assert "pluggy" in lacks("\npluggy==1.", "\npluggy==0.")[0]
    # psycopg needs it below 3.13, and others on each.
    assert "for Python 3.13.5" in lacks("\ntyping-extensions==4.16.0", "\ntyping-extensions==4.16.0 ; python_version < '3.13'")[0]


def test_every_install_of_a_lock_is_of_the_lock_as_it_is() -> None:
    lines = [line for path in ("gw", "README.md", "docs/operations.md") for line in (ROOT / path).read_text().splitlines()]
    installs = [line for line in lines if "pip install" in line and " -r " in line]
    assert len(installs) >= 2
    assert [line for line in installs if "--no-deps --require-hashes" not in line] == []


def test_the_contracts_need_nothing_that_the_extra_testing_does_not_bring() -> None:
    """An author of a plugin installs gatewayd[testing], and nothing else that our own tests need."""
    modules = ["gatewayd.testing", *(f"gatewayd.testing.contracts.{path.stem}" for path in sorted(TESTING.glob("contracts/*.py")))]
    _import_with(["testing"], modules)


def test_the_demo_needs_nothing_that_the_extra_demo_does_not_bring() -> None:
    """Its stand-in for Microsoft is one of tests, and tests have more."""
    _import_with(["demo"], [f"gatewayd_demo.{path.stem}" for path in sorted((ROOT / "plugins/gatewayd_demo").glob("*.py"))])


def _import_with(extras: Iterable[str], modules: Iterable[str]) -> None:
    """Import modules where there is nothing but what the project and some of its extras need."""
    (name,) = [name for name in lock.LOCKS if "test" in lock.LOCKS[name]]
    locked = locks.read(ROOT / name)
    brought = locks.reached(locked, requirements(extras), locks.PYTHONS[0])
    others = {one.name for one in locked} - brought
    assert {"mypy", "trustme", "hypothesis"} <= others
    away = [module for module, by in packages_distributions().items() if {canonicalize_name(one) for one in by} <= others]
    code = f"import sys; sys.modules.update(dict.fromkeys({away!r})); import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
