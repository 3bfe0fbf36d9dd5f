"""Commands go by what the daemon runs, also while ``gatewayd.yaml`` is faulty."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_FAKES = Path(__file__).parent / "config_plugins" / "fakes.py"
_MAIN = "state: ../state # here\nplugins: {folder: plugins}\nstore: {kind: paper}\n"
_FILES = {
    "gatewayd.yaml": _MAIN,
    "operators/acme.yaml": "directory: {kind: cards, folder: cards}\nmatchers: [names]\n",
    "accounts/sales.yaml": "kind: pigeon\noperators: [acme]\nloft: roof\nring: !file secrets/ring\n",
}
#: Another user than root, whom no file of this machine belongs to.
_SOMEBODY = 62846


def _main(text: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "gatewayd.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())


def _directory(folder: Path) -> None:
    (folder / "gatewayd.yaml").unlink()
    (folder / "gatewayd.yaml").mkdir()


#: How people break it.
_BREAKS: dict[str, Callable[[Path], object]] = {
    "unknown key": _main(_MAIN + "sotre: {}\n"),
    "bad value": _main(_MAIN + "limits: {visits: many}\n"),
    "unknown store": _main(_MAIN.replace("paper", "papyrus")),
    "store's options": _main(_MAIN.replace("paper", "paper, sheets: 7")),
    "open bracket": _main(_MAIN + "log: {level: [\n"),
    "tab": _main(_MAIN + "log:\n\tlevel: info\n"),
    "not UTF-8": _main(_MAIN.encode() + b"# \xff\n"),
    "merge conflict": _main("<<<<<<< HEAD\n" + _MAIN + "=======\n" + _MAIN + ">>>>>>> theirs\n"),
    "quoted state": _main('"state": "../state"\nplugins: 7\n'),
    "plugins' folder": lambda folder: (folder / "plugins").rename(folder / "plugins.old"),
    "too large": _main(_MAIN + "#" * (1 << 20)),
}
#: The same where it does not say where the state is: by the service's environment.
_LOST: dict[str, Callable[[Path], object]] = {
    "empty": _main(""),
    "a list": _main("[a, b]\n"),
    "gone": lambda folder: (folder / "gatewayd.yaml").unlink(),
    "a folder": _directory,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config folder that was accepted."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    folder = tmp_path / "etc"
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "plugins").mkdir()
    shutil.copy(_FAKES, folder / "plugins")
    config.accept(config.running(folder))
    return folder


@pytest.mark.parametrize("how", _BREAKS)
def test_a_faulty_main_file_is_taken_as_last_accepted(folder: Path, how: str) -> None:
    before = config.running(folder)
    _BREAKS[how](folder)
    with pytest.raises(ConfigError):
        config.running(folder)
    found = config.current(folder)
    assert (found.state, [*found.accounts], [*found.operators]) == (before.state, ["sales"], ["acme"])
    assert [kind for kind, _ in found.operators["acme"].matchers] == ["names"]
    assert "gatewayd.yaml" in found.standing_in
    assert [fault for fault in found.faults if fault.file == "gatewayd.yaml"]


@pytest.mark.parametrize("how", _LOST)
def test_a_main_file_without_a_word_of_its_state_is_found_by_the_environment(
    folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = config.running(folder)
    _LOST[how](folder)
    with pytest.raises(ConfigError):
        config.current(folder)
    monkeypatch.setenv("STATE_DIRECTORY", str(folder.parent / "state"))
    assert config.current(folder).accounts == before.accounts


def test_other_faulty_files_are_taken_as_last_accepted_too(folder: Path) -> None:
    before = config.running(folder)
    (folder / "gatewayd.yaml").write_text(_MAIN + "sotre: {}\n")
    (folder / "accounts/sales.yaml").write_text("kind: [\n")
    found = config.current(folder)
    assert found.accounts == before.accounts
    assert sorted(found.standing_in) == ["accounts/sales.yaml", "gatewayd.yaml"]
    # The file as it stands is what is accepted, and nothing else.
    config.accept(found)
    (folder / "gatewayd.yaml").write_text(_MAIN)
    assert config.current(folder).standing_in == ("accounts/sales.yaml",)


def test_another_folder_s_copy_is_none_of_ours(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "gatewayd.yaml").write_text(_MAIN + "sotre: {}\n")
    with pytest.raises(ConfigError):
        config.current(other)


def test_a_copy_that_names_another_state_folder_is_not_believed(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "state", tmp_path / "stolen")
    (folder / "gatewayd.yaml").write_text("state: ../stolen\nsotre: {}\n")
    with pytest.raises(ConfigError):
        config.current(folder)


def test_what_was_never_accepted_is_refused(folder: Path) -> None:
    shutil.rmtree(folder.parent / "state")
    (folder / "gatewayd.yaml").write_text(_MAIN + "sotre: {}\n")
    with pytest.raises(ConfigError, match="is faulty"):
        config.current(folder)


# --- attack.md 5: nothing that the service could have written runs as root ------------------------------------------------

_LOOK = """
import sys
from pathlib import Path
from gatewayd import config
from gatewayd.runtime.instance import enter
getattr(config, sys.argv[2])(Path(sys.argv[1]), enter=enter)
"""


def _evil(mark: Path) -> str:
    return f"import os\nfrom gatewayd.runtime.privileges import mighty\nopen({str(mark)!r}, 'a').write(f'{{os.geteuid()}} {{mighty()}}\\n')\n"


def _service(folder: Path, tmp_path: Path) -> Path:
    """Have the state folder belong to somebody else, as the service's does; return where its code says that it ran."""
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    tmp_path.chmod(0o755)
    for path in (folder.parent / "state", *(folder.parent / "state").rglob("*")):
        os.chown(path, _SOMEBODY, _SOMEBODY)
    mark = tmp_path / "mark"
    mark.touch()
    mark.chmod(0o666)
    return mark


def _looked(folder: Path, how: str) -> str:
    done = subprocess.run([sys.executable, "-c", _LOOK, str(folder), how], capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize("how", ["running", "current"])
def test_code_that_the_service_could_write_is_not_run_by_root(folder: Path, tmp_path: Path, how: str) -> None:
    mark = _service(folder, tmp_path)
    (folder.parent / "state/accepted/plugins/evil.py").write_text(_evil(mark))
    _looked(folder, how)
    assert mark.read_text() == ""


def test_a_copy_of_the_main_file_can_not_have_root_run_code_of_the_service(folder: Path, tmp_path: Path) -> None:
    mark = _service(folder, tmp_path)
    evil = folder.parent / "state/evil"
    evil.mkdir()
    shutil.copy(_FAKES, evil)
    (evil / "evil.py").write_text(_evil(mark))
    for path in (evil, *evil.iterdir()):
        os.chown(path, _SOMEBODY, _SOMEBODY)
    (folder.parent / "state/accepted/gatewayd.yaml").write_text(_MAIN.replace("folder: plugins", f"folder: {evil}"))
    (folder / "gatewayd.yaml").write_text(_MAIN + "sotre: {}\n")
    assert "is faulty" in _looked(folder, "current")
    assert mark.read_text() == ""


@pytest.mark.parametrize("how", ["running", "current", "load"])
def test_plugins_of_the_config_folder_run_with_root_s_rights_dropped(folder: Path, tmp_path: Path, how: str) -> None:
    mark = _service(folder, tmp_path)
    (folder / "plugins/ours.py").write_text(_evil(mark))
    _looked(folder, how)
    assert {line.split()[0] for line in mark.read_text().splitlines()} == {str(_SOMEBODY)}
