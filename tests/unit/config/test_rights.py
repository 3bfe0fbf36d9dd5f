"""Who could change what we go by, or read what is secret, is told."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import gettempdir

import pytest

from gatewayd import config
from gatewayd.config.rights import exposed, ours_alone

_SOMEBODY = 62846
_PLACES = (
    "",
    "gatewayd.yaml",
    "operators",
    "operators/acme.yaml",
    "accounts",
    "accounts/sales.yaml",
    "plugins",
    "plugins/fakes.py",
)
_SECRETS = ("credentials", "credentials/sales", "secrets/ring")
_FAKES = Path(__file__).parent / "config_plugins" / "fakes.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    files = {
        "gatewayd.yaml": "state: ../state\nplugins: {folder: plugins}\nstore: {kind: paper}\n",
        "operators/acme.yaml": "title: Acme\n",
        "accounts/sales.yaml": "kind: pigeon\noperators: [acme]\nloft: roof\nring: !file secrets/ring\n",
        "plugins/fakes.py": _FAKES.read_text(),
        "credentials/sales": "x",
        "secrets/ring": "x",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in _SECRETS:
        (folder / name).chmod(0o700 if (folder / name).is_dir() else 0o600)
    # All that is pytest's: how deep that is depends on how many processes there are.
    for parent in (tmp_path, *tmp_path.parents):
        if parent.is_relative_to(Path(gettempdir())) and parent != Path(gettempdir()):
            parent.chmod(0o755)
    return folder


def _told(folder: Path) -> list[str]:
    return [str(fault) for fault in config.right_faults(config.load(folder))]


def test_a_folder_that_is_ours_alone_is_told_nothing_of(folder: Path) -> None:
    assert _told(folder) == []


@pytest.mark.parametrize("name", [*_PLACES, *_SECRETS])
@pytest.mark.parametrize("bit", [0o002, 0o020])
def test_what_others_may_change_is_told(folder: Path, name: str, bit: int) -> None:
    path = folder / name
    os.chown(path, -1, 4711)
    # Else nobody but root gets there.
    path.parent.chmod(0o755)
    path.chmod(path.stat().st_mode | bit)
    who = "everybody" if bit == 0o002 else "group 4711"
    mend = f": `chmod 600 {path}`" if name in _SECRETS[1:] else ""
    expected = "expected that nobody can but root and the service's user"
    assert _told(folder) == [f"{name or folder}: {who} may change it, {expected}{mend}"]


@pytest.mark.parametrize("name", _SECRETS[1:])
@pytest.mark.parametrize("bit", [0o004, 0o040])
def test_a_secret_that_others_may_read_is_told(folder: Path, name: str, bit: int) -> None:
    path = folder / name
    os.chown(path, -1, 4711)
    path.parent.chmod(0o755)
    path.chmod(path.stat().st_mode | bit)
    told = _told(folder)
    (line,) = [line for line in told if f"{name}: {'everybody' if bit == 0o004 else 'group 4711'} may read it" in line]
    assert line.endswith(f": `chmod 600 {path}`")


@pytest.mark.parametrize("name", [*_PLACES, *_SECRETS])
def test_what_belongs_to_somebody_else_is_told(folder: Path, name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: nothing can be given away")
    os.chown(folder / name, _SOMEBODY, -1)
    assert f"{name or folder}: it belongs to user {_SOMEBODY}" in "\n".join(_told(folder))


def test_what_nobody_else_gets_to_is_no_risk(folder: Path) -> None:
    (folder / "secrets").chmod(0o700)
    (folder / "secrets/ring").chmod(0o666)
    assert _told(folder) == []


def test_a_folder_above_in_which_others_may_rename_is_told_but_not_one_such_as_tmp(folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert [line.split(":")[0] for line in _told(folder)] == [str(tmp_path)]
    assert not ours_alone(folder / "plugins")
    tmp_path.chmod(0o1777)
    assert _told(folder) == []
    assert ours_alone(folder / "plugins")


def test_what_is_not_there_is_nobody_s(tmp_path: Path) -> None:
    assert exposed(tmp_path / "nothing") == ""
