from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gatewayd import Folders
from gatewayd.runtime.privileges import become_owner
from gatewayd.testing.contracts.custodian import Custodian, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.e2e.house import House

#: Any user but root, and one that no file of this machine belongs to.
SOMEBODY = 62846

BECOMING = """
import os, subprocess, sys
from pathlib import Path
from gatewayd.runtime.privileges import become_owner
state = Path(sys.argv[1])
become_owner(state)
become_owner(state)
(state / "file").touch()
subprocess.run(["touch", state / "worker"], check=True)
print(os.getuid(), os.getgid(), os.getgroups(), (state.parent / "secret").read_text())
for forbidden in (state.parent / "secret", state.parent / "new"):
    try:
        forbidden.write_text("overwritten")
    except PermissionError:
        print("refused")
"""


def test_root_becomes_the_owner_of_a_folder_that_only_root_can_enter(tmp_path: Path) -> None:
    """As /var/lib/private with DynamicUser=. It may still read what root may, and so may its workers; it writes nothing of root's."""
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    private = tmp_path / "private"
    state = private / "state"
    state.mkdir(parents=True)
    os.chown(state, SOMEBODY, SOMEBODY)
    (private / "secret").write_text("of-root")
    (private / "secret").chmod(0o600)
    private.chmod(0o700)
    done = subprocess.run([sys.executable, "-c", BECOMING, str(state)], capture_output=True, text=True, check=False)
    assert done.stdout == f"{SOMEBODY} {SOMEBODY} [] of-root\nrefused\nrefused\n", done.stderr
    assert {path.name: path.stat().st_uid for path in state.iterdir()} == {"file": SOMEBODY, "worker": SOMEBODY}


def test_nobody_changes_who_owns_the_folder_already(tmp_path: Path) -> None:
    before = os.getresuid(), os.getresgid(), os.getgroups()
    become_owner(tmp_path)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def test_root_has_the_schemas_written_where_the_config_lies(tmp_path: Path) -> None:
    """As the first lines of an installed config say; the state folder's owner may write nothing there."""
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    config, state = tmp_path / "config", tmp_path / "state"
    for folder in (config, state):
        folder.mkdir()
    os.chown(state, SOMEBODY, SOMEBODY)
    (config / "gatewayd.yaml").write_text(f"state: {state}\n")
    (config / "gatewayd.schema.json").write_text(" " * 1_000_000)
    for folder in (config, config / "new"):
        command = [sys.executable, "-m", "gatewayd", "--config", str(config), "schema", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        written = [Path(line) for line in done.stdout.splitlines()]
        assert [path.name for path in written] == ["gatewayd.schema.json", "operator.schema.json", "account.schema.json"]
        assert all(json.loads(path.read_text()) for path in written)
        assert {(path.stat().st_uid, path.stat().st_mode & 0o777) for path in written} == {(0, 0o644)}


def test_root_is_told_how_a_mail_is_written_where_the_owner_may_not(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    house = House(tmp_path)
    house.operator("acme")
    house.account("main", "imap", 1, "anna")
    house.state.mkdir()
    store = Sql(SqlOptions(url=None), place=Folders(config=house.folder, state=house.state))
    store.open()
    with closing(store):
        mail = Custodian.of(store, "main").file("1", make_raw(1))
    for path in (house.state, *house.state.iterdir()):
        os.chown(path, SOMEBODY, SOMEBODY)
    mine = tmp_path / "mine"
    mine.mkdir()
    command = [sys.executable, "-m", "gatewayd", "--config", str(house.folder), "mail", "raw", str(mail)]
    done = subprocess.run([*command, "-o", str(mine / "one.eml")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"user {SOMEBODY}, the owner of the state folder" in done.stderr
    assert "Run it without -o, and with > FILE behind it" in done.stderr
    with (mine / "one.eml").open("wb") as file:
        subprocess.run(command, stdout=file, check=True)
    assert (mine / "one.eml").read_bytes() == make_raw(1)
