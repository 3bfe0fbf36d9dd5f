"""The service gets a user of its own, and the state folder of a release before, which had none: whole, whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gatewayd import cli, config
from gatewayd.runtime.instance import Instance
from tests.patience import LONG

PROGRAM = Path("/usr/local/lib/gatewayd/bin/gatewayd")
#: Whom systemd might have made the service, with DynamicUser=.
NUMBER = 64123
FILES = ("signing.key", "gatewayd.db", "gatewayd.db-wal", "accepted/accounts/sales.yaml", "owners/1/lock")
UNIT = "etc/systemd/system/gatewayd.service"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users and gives files away")

#: Installs as the arguments say, and ends at the step that the first one names.
INSTALLING = """
import os, sys
from gatewayd import cli
steps = []
def hook(event, arguments):
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "subprocess.Popen"):
        steps.append(event)
        if str(len(steps)) == sys.argv[1]:
            os._exit(9)
sys.addaudithook(hook)
sys.exit(cli.run(sys.argv[2:]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with a service of a release before: its unit, and its state where only root may go."""
    state = tmp_path / "var/lib/private/gatewayd"
    for name in FILES:
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_text(name)
    (state / "link").symlink_to("/etc/hostname")
    (tmp_path / "var/lib/private").chmod(0o700)
    for path in (state, *state.rglob("*")):
        os.chown(path, NUMBER, NUMBER, follow_symlinks=False)
    (tmp_path / "var/lib/gatewayd").symlink_to("private/gatewayd")
    for name, text in {"usr/lib/systemd/libsystemd-shared-252.so": "", UNIT: "[Service]\nDynamicUser=yes\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "usr/local/lib/gatewayd/bin").mkdir(parents=True)
    (tmp_path / "usr/local/lib/gatewayd/bin/gatewayd").touch()
    return tmp_path


def arguments(root: Path, *more: str) -> list[str]:
    return ["--config", "/etc/gatewayd", "install", "--root", str(root), "--program", str(PROGRAM), *more]


def ids(root: Path, name: str) -> tuple[int, int]:
    """User and group of a name, in the system below a root."""
    lines = (root / "etc/passwd").read_text().splitlines()
    (fields,) = [line.split(":") for line in lines if line.startswith(f"{name}:")]
    return int(fields[2]), int(fields[3])


def state(root: Path, *, web: bool = False) -> None:
    """Prove that the state folder is whole, and the service's alone."""
    folder, owner = root / "var/lib/gatewayd", ids(root, "gatewayd")
    assert not folder.is_symlink()
    assert not (root / "var/lib/private/gatewayd").exists()
    assert {name: (folder / name).read_text() for name in FILES} == {name: name for name in FILES}
    assert (folder / "link").readlink() == Path("/etc/hostname")
    found = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    assert {(status.st_uid, status.st_gid) for status in found.values()} == {owner}
    modes = {path: (folder / path).stat().st_mode & 0o7777 for path in ("", "store")}
    assert modes == ({"": 0o710, "store": 0o750} if web else {"": 0o700, "store": 0o700})


def test_the_state_of_a_release_before_is_given_to_the_service_s_user(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Path("/etc/hostname").lstat()
    assert cli.run(arguments(root)) == 0
    assert f"moved    {root}/var/lib/private/gatewayd/ to {root}/var/lib/gatewayd/" in capsys.readouterr().out
    state(root)
    assert "User=gatewayd\n" in (root / UNIT).read_text()
    # What a link leads to is not ours.
    assert Path("/etc/hostname").lstat() == host
    assert cli.run(arguments(root)) == 0
    assert "moved" not in capsys.readouterr().out
    state(root)


def test_P1_a_kill_at_any_step_loses_nothing_and_is_finished_by_the_next_install(root: Path) -> None:
    killed = 0
    for step in range(1, 60):
        done = subprocess.run(
            [sys.executable, "-c", INSTALLING, str(step), *arguments(root)], capture_output=True, timeout=LONG, check=False
        )
        assert done.returncode in {0, 9}, done.stderr
        killed += done.returncode == 9
        public, private = root / "var/lib/gatewayd", root / "var/lib/private/gatewayd"
        there = public if public.is_dir() and not public.is_symlink() else private
        assert {name: (there / name).read_text() for name in FILES} == {name: name for name in FILES}
        if there is private:
            # The unit is still the one that finds it there.
            assert "DynamicUser=yes" in (root / UNIT).read_text()
        if done.returncode == 0:
            break
    assert killed > 10
    state(root)


def test_a_state_folder_that_a_daemon_works_with_is_left_to_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root / "var/lib/private/gatewayd/owners")
    with closing(Instance(root / "var/lib/private/gatewayd", "daemon")):
        assert cli.run(arguments(root)) == 1
        said = capsys.readouterr().err
        assert f"works with it as process {os.getpid()}" in said
        assert "systemctl stop gatewayd" in said
        assert (root / "var/lib/gatewayd").is_symlink()
        assert not (root / "etc/gatewayd").exists()
        assert "DynamicUser=yes" in (root / UNIT).read_text()
    assert cli.run(arguments(root)) == 0


def test_of_two_state_folders_none_is_chosen(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "var/lib/gatewayd").unlink()
    (root / "var/lib/gatewayd").mkdir()
    (root / "var/lib/gatewayd/signing.key").write_text("another")
    assert cli.run(arguments(root)) == 1
    assert "there are two state folders" in capsys.readouterr().err
    assert (root / "var/lib/private/gatewayd/signing.key").read_text() == "signing.key"
    (root / "var/lib/gatewayd/signing.key").unlink()
    # One that systemd made, and nobody used.
    assert cli.run(arguments(root)) == 0
    state(root)


def test_without_a_state_folder_one_is_made(tmp_path: Path) -> None:
    assert cli.run(arguments(tmp_path)) == 0
    folder = tmp_path / "var/lib/gatewayd"
    for path, mode in ((folder, 0o700), (folder / "store", 0o700)):
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (*ids(tmp_path, "gatewayd"), mode)


def test_P9_with_the_pages_their_user_is_in_the_group_that_may_read_the_database_and_nothing_else(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments(root, "--web")) == 0
    state(root, web=True)
    (user, group), (service, service_group) = ids(root, "gatewayd-web"), ids(root, "gatewayd")
    assert user != service
    assert group == service_group
    said = capsys.readouterr().out
    assert "systemctl enable --now gatewayd-web" in said
    assert config.web_of(root / "etc/gatewayd").user == "gatewayd-web"
    # It is remembered.
    assert cli.run(arguments(root)) == 0
    state(root, web=True)


def test_a_main_file_that_was_edited_is_told_what_the_pages_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc/gatewayd").mkdir(parents=True)
    needs = "needs `web: {user: gatewayd-web}`"
    for text, told in (("state: /var/lib/gatewayd\n", True), ("faulty\n", True), ("state: x\nweb: {user: gatewayd-web}\n", False)):
        (tmp_path / "etc/gatewayd/gatewayd.yaml").write_text(text)
        capsys.readouterr()
        assert cli.run(arguments(tmp_path, "--web")) == 0
        assert (needs in capsys.readouterr().out) is told


def test_a_system_that_can_make_no_user_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc/group").mkdir(parents=True)
    assert cli.run(arguments(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "the service's users can't be made" in said
    assert "etc/sysusers.d/gatewayd.conf" in said
    assert not (tmp_path / UNIT).exists()
