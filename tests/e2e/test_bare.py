"""Both locks, installed by the pip of Debian 12 and of Debian 13, while newer releases of everything exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from tests import lock, locks
from tests.e2e.bare import Bare
from tests.e2e.house import ROOT
from tests.e2e.machine import unable
from tests.world import blocks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.campaign

UNABLE = unable()
#: Debian's Python.
SUITES = {"bookworm": "3.11", "trixie": "3.13"}
NEWER = "99999"
(README,) = [block.text for block in blocks(ROOT / "README.md") if "requirements.lock" in block.text]
#: Where pip finds packages in there, and nowhere else.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels /newer", "PIP_ROOT_USER_ACTION": "ignore", "HOME": "/root"}


def downloaded(python: str, folder: Path) -> None:
    """Get a wheel of every locked package for one Python on this machine's processor, whatever Python this is."""
    machine = subprocess.check_output(["uname", "-m"], text=True).strip()
    platforms = ["any", *(f"manylinux_2_{minor}_{machine}" for minor in range(5, 37)), f"manylinux2014_{machine}"]
    tags = [
        "--python-version",
        python,
        "--implementation",
        "cp",
        "--abi",
        f"cp{python.replace('.', '')}",
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    for name in lock.LOCKS:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command += [*tags, *(f"--platform={one}" for one in platforms), "--dest", str(folder), "--requirement", str(ROOT / name)]
        subprocess.run(command, check=True)


def newer(folder: Path) -> None:
    """Make a release of every locked package that is newer than any."""
    folder.mkdir()
    for one in {one.name for name in lock.LOCKS for one in locks.read(ROOT / name)}:
        about = f"{one.replace('-', '_')}-{NEWER}"
        with ZipFile(folder / f"{about}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{about}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {one}\nVersion: {NEWER}\n")
            wheel.writestr(f"{about}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}.dist-info/RECORD", "")


class Machine:
    """A bare Debian with a fresh clone of this checkout in it."""

    def __init__(self, suite: str, folder: Path) -> None:
        packages = re.findall(r"^apt-get install -y (.+)$", README, re.MULTILINE)
        self._bare = Bare(suite, packages[0].split())
        self.clone = folder / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.clone)], check=True)
        self._binds = {folder / "wheels": "/wheels", folder / "newer": "/newer"}
        downloaded(SUITES[suite], folder / "wheels")
        newer(folder / "newer")

    def good(self, script: str) -> str:
        """Run a script that must succeed; return what it said."""
        done = self._bare.run(script, folder=self.clone, binds=self._binds, environment=OFFLINE)
        assert done.code == 0, f"{script}: {done.out}{done.err}"
        return done.out + done.err


@pytest.fixture(scope="module", params=SUITES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    if UNABLE:
        pytest.skip(UNABLE)
    return Machine(request.param, tmp_path_factory.mktemp("bare"))


def test_newer_releases_are_what_pip_would_take(machine: Machine) -> None:
    shown = machine.good("python3 -m venv /venv; /venv/bin/pip install coverage; /venv/bin/pip list")
    assert re.search(rf"^coverage +{NEWER}$", shown, re.MULTILINE)


def test_the_lines_of_the_readme_install_the_lock_as_it_is(machine: Machine) -> None:
    lines = README.partition("gatewayd install")[0].replace("apt-get install -y", "dpkg --status >/dev/null")
    shown = machine.good(
        f"{lines}\ngatewayd --version; /usr/local/lib/gatewayd/bin/pip check; /usr/local/lib/gatewayd/bin/pip freeze"
    )
    assert "No broken requirements found." in shown
    assert_locked("requirements.lock", shown)


def test_gw_installs_the_lock_as_it_is(machine: Machine) -> None:
    shown = machine.good("./gw --version; .venv/bin/pip check; .venv/bin/pip freeze --exclude-editable")
    assert "No broken requirements found." in shown
    assert_locked("requirements.lock", shown)
    shutil.rmtree(machine.clone / ".venv")


@pytest.mark.parametrize("name", lock.LOCKS)
def test_a_lock_is_installed_as_it_is(machine: Machine, name: str) -> None:
    """As gw installs it."""
    install = f"/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r {name}"
    assert f"{install.removeprefix('/venv/bin/python ').removesuffix(name)}" in (ROOT / "gw").read_text().replace('"$lock"', "")
    shown = machine.good(f"python3 -m venv /venv; {install}; /venv/bin/pip check; /venv/bin/pip freeze")
    assert "No broken requirements found." in shown
    assert_locked(name, shown)


def assert_locked(name: str, shown: str) -> None:
    """Exactly what is locked is installed, and at its version."""
    installed = set(re.findall(r"^([\w.-]+)==(\S+)$", shown, re.MULTILINE))
    locked = {(one.name, one.version) for one in locks.read(ROOT / name) if one.is_for(locks.PYTHONS[0])}
    assert {(re.sub(r"[-_.]+", "-", package).lower(), version) for package, version in installed} == locked
