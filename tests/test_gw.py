"""``./gw`` makes its environment of a Python that is new enough."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GW = Path(__file__).parent.parent / "gw"
#: A Python of some version that says who makes an environment, and makes none.
PYTHON = """#!/bin/sh
case $2 in
venv) echo "$0 makes $3" >&2; exit 3 ;;
*ensurepip*) exit 0 ;;
*) exec {python} -c "import sys; sys.version_info = {version}; sys.argv[0] = '-c'; exec(sys.argv.pop(1))" "$2" "$3" "$4" ;;
esac
"""


def _made(folder: Path, *, python: str | None = None, found: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run it where there is no environment, with PYTHON as it is named, and another ``python3`` to be found."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"} | {"GATEWAYD_VENV": str(folder / "venv")}
    if python is not None:
        environment["PYTHON"] = python
    if found is not None:
        environment["PATH"] = f"{found}:{environment['PATH']}"
    return subprocess.run([GW, "--version"], capture_output=True, text=True, env=environment, timeout=60, check=False)


def _stand_in(file: Path, version: tuple[int, int]) -> str:
    file.parent.mkdir(exist_ok=True)
    file.write_text(PYTHON.format(python=sys.executable, version=version))
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("version", [(3, 11), (3, 13)])
def test_it_is_made_of_the_python_that_is_named(tmp_path: Path, version: tuple[int, int]) -> None:
    python = _stand_in(tmp_path / "other", version)
    done = _made(tmp_path, python=python)
    assert (done.returncode, done.stderr) == (3, f"{python} makes {tmp_path}/venv\n")


def test_one_that_is_newer_than_is_tested_is_tried_and_that_is_said(tmp_path: Path) -> None:
    python = _stand_in(tmp_path / "newer", (3, 14))
    done = _made(tmp_path, python=python)
    assert done.returncode == 3
    assert done.stderr.startswith("gw: this Python is newer than 3.13")
    assert f"{python} makes" in done.stderr


@pytest.mark.parametrize("version", [(3, 10), (2, 12), None])
def test_one_that_is_too_old_or_not_there_is_refused(tmp_path: Path, version: tuple[int, int] | None) -> None:
    python = _stand_in(tmp_path / "old", version) if version else str(tmp_path / "none")
    done = _made(tmp_path, python=python)
    assert (done.returncode, done.stderr) == (
        69,
        f"gw: {python} is no Python 3.11, 3.12 or 3.13: name one, as in PYTHON=python3.12 ./gw\n",
    )


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="this system has no Python of its own")
def test_the_systems_own_is_taken_before_another_that_is_found(tmp_path: Path) -> None:
    # What it makes has no place: it would take half a minute.
    (tmp_path / "venv").touch()
    _stand_in(tmp_path / "bin" / "python3", (3, 12))
    done = _made(tmp_path, found=str(tmp_path / "bin"))
    assert done.returncode not in {0, 3}
    assert "makes" not in done.stderr
