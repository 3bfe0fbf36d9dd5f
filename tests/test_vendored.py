"""What is vendored is as its packages have it, and comes with gatewayd wherever that is installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.e2e.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = [ROOT / "plugins/gatewayd_web/static/vendor", ROOT / "tests/browser/vendor"]


class Vendored(NamedTuple):
    """A line of VERSIONS."""

    file: str
    package: str
    origin: str
    licence: str
    sha256: str


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_vendored_file_is_the_one_of_its_package(folder: Path) -> None:
    lines = [line for line in (folder / "VERSIONS").read_text().splitlines() if not line.startswith("#")]
    listed = [Vendored(*line.split()) for line in lines]
    assert {one.file for one in listed} == {path.name for path in folder.iterdir()} - {"VERSIONS"}
    assert {one.file: one.sha256 for one in listed} == {
        one.file: hashlib.sha256((folder / one.file).read_bytes()).hexdigest() for one in listed
    }
    assert all("@" in one.package and one.licence in {"0BSD", "MIT", "MPL-2.0"} for one in listed)


def test_the_wheel_has_what_the_pages_are_made_of(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    web = ROOT / "plugins/gatewayd_web"
    wanted = [path for folder in ("static", "templates") for path in (web / folder).rglob("*") if path.is_file()]
    names = {str(path.relative_to(ROOT / "plugins")) for path in wanted}
    assert "gatewayd_web/static/vendor/htmx.min.js" in names
    assert names <= set(zipfile.ZipFile(wheel).namelist())
