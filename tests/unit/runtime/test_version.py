"""The version tells the release, and the commit wherever there is a checkout."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gatewayd
from gatewayd.runtime import version

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = Path(version.__file__)
#: Where it lies in a checkout, and in what is installed.
PLACE = MODULE.relative_to(Path(gatewayd.__file__).parent.parent)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of one commit, with the module in it."""
    copied(tmp_path / "checkout")
    git(tmp_path / "checkout", "init", "--quiet", "--initial-branch", "main")
    git(tmp_path / "checkout", "add", ".")
    git(tmp_path / "checkout", "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "One")
    return tmp_path / "checkout"


def copied(folder: Path) -> None:
    (folder / PLACE).parent.mkdir(parents=True)
    shutil.copy(MODULE, folder / PLACE)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def told(folder: Path) -> str:
    found = runpy.run_path(str(folder / PLACE))["__version__"]
    assert isinstance(found, str)
    return found


def packed(folder: Path) -> Path:
    git(folder, "pack-refs", "--all")
    return folder


def detached(folder: Path) -> Path:
    git(folder, "checkout", "--quiet", "--detach")
    return folder


def beside(folder: Path) -> Path:
    git(folder, "worktree", "add", "--quiet", "../beside")
    return folder.parent / "beside"


@pytest.mark.parametrize("made", [lambda folder: folder, packed, detached, beside])
def test_a_checkout_tells_its_commit(checkout: Path, made: Callable[[Path], Path]) -> None:
    folder = made(checkout)
    assert told(folder) == f"0.1.0+g{git(folder, 'rev-parse', 'HEAD')[:9]}"


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "nonsense", "abcdef", "ref: " + "../" * 9 + "etc/passwd", "\0"])
def test_what_is_no_checkout_of_git_tells_the_release(checkout: Path, head: str) -> None:
    (checkout / ".git/HEAD").write_text(head)
    assert told(checkout) == "0.1.0"


def test_what_is_not_in_a_checkout_tells_what_is_installed(tmp_path: Path) -> None:
    copied(tmp_path)
    assert re.fullmatch(r"0\.1\.0(\+g[0-9a-f]{9})?", told(tmp_path))


def test_an_unpacked_archive_is_not_taken_for_what_is_installed_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("site", "archive"):
        copied(tmp_path / name)
    (tmp_path / "site/gatewayd-0.0.9.dist-info").mkdir()
    (tmp_path / "site/gatewayd-0.0.9.dist-info/METADATA").write_text("Metadata-Version: 2.4\nName: gatewayd\nVersion: 0.0.9\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert told(tmp_path / "site") == "0.0.9"
    assert told(tmp_path / "archive") == "0.1.0"


def test_plugins_and_people_are_told() -> None:
    assert gatewayd.__version__ == version.__version__
