"""What the pages read, as a Unix user of their own that may not look into the daemon's state folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Folders, config
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Any user but root, and a group, that no file of this machine belongs to.
SOMEBODY, GROUP = 62846, 62847
ACME = "users: {irina: {name: Irina, email: irina@example.com}}\n"

#: Becomes somebody, and tells for each line which users there are once the config has as many operators as it says.
READER = f"""
import os, sys, time
from pathlib import Path
from gatewayd import Reader
os.setgroups([])
os.setgid({GROUP})
os.setuid({SOMEBODY})
reader = Reader.open(Path(sys.argv[1]))
for line in sys.stdin:
    while len(reader.config.operators) != int(line):
        time.sleep(0.05)
    print({{name: sorted(one.users) for name, one in reader.config.operators.items()}}, flush=True)
os._exit(0)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A config that a daemon of root has accepted, with its state folder, into which somebody's group may go and no further."""
    above = Path(tempfile.mkdtemp(prefix="gatewayd-"))
    above.chmod(0o711)
    folder = above / "config"
    (folder / "operators").mkdir(parents=True)
    (folder / "accounts").mkdir()
    (folder / "gatewayd.yaml").write_text(f"state: {above}/state\n")
    (folder / "operators/acme.yaml").write_text(ACME)
    config.accept(config.running(folder))
    (above / "state/store").mkdir()
    for name, mode in (("state", 0o710), ("state/store", 0o2750)):
        os.chown(above / name, 0, GROUP)
        (above / name).chmod(mode)
    store = Sql(SqlOptions(url=None), place=Folders(config=folder, state=above / "state"))
    store.open()
    with closing(store):
        yield folder
    shutil.rmtree(above)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_file_that_is_faulty_by_now_goes_on_as_it_was(folder: Path) -> None:
    """Its users stay logged in, as they do by the daemon, which has a copy."""
    command = [sys.executable, "-c", READER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("1\n")
            process.stdin.flush()
            assert process.stdout.readline() == "{'acme': ['irina']}\n", process.stderr and process.stderr.read()
            (folder / "operators/acme.yaml").write_text("usres: {}\n")
            (folder / "operators/globetrot.yaml").write_text("{}\n")
            said, _ = process.communicate("2\n", timeout=LONG)
            assert said == "{'acme': ['irina'], 'globetrot': []}\n"
        finally:
            process.kill()
