"""Owners of leases: alive or dead is told by a lock that the operating system keeps."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

from gatewayd.runtime.instance import Instance, host_and_process

if TYPE_CHECKING:
    from pathlib import Path

SLEEPER = """
import sys, time
from pathlib import Path
from gatewayd.runtime.instance import Instance
owner = Instance(Path(sys.argv[1]))
owner.spool().put("k", [b"x" * 100])
print(owner.name, flush=True)
time.sleep(60)
"""


def sleeper(state: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(SLEEPER), str(state)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def test_killed_owner_is_dead_and_its_spools_go(tmp_path: Path) -> None:
    with Instance(tmp_path) as me:
        process, name = sleeper(tmp_path)
        try:
            assert not me.dead(name)
            assert list(tmp_path.glob("owners/*/*.spool"))
        finally:
            process.kill()
            process.communicate()
        assert me.dead(name)
    with Instance(tmp_path) as other:
        assert not list(tmp_path.glob("owners/*/*.spool"))
        assert other.dead(name), "also when its room is gone already"


def test_living_owner_is_not_dead(tmp_path: Path) -> None:
    with Instance(tmp_path) as me, Instance(tmp_path) as other:
        assert not me.dead(other.name)
        assert not me.dead(me.name)


def test_owner_with_another_state_folder_is_never_called_dead(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with Instance(tmp_path / "a") as me:
        other = Instance(tmp_path / "b")
        other.close()
        assert not me.dead(other.name)
        assert not me.dead("")
        assert not me.dead("host:1:../../etc:passwd")


def test_ended_owner_is_dead(tmp_path: Path) -> None:
    with Instance(tmp_path) as me:
        other = Instance(tmp_path)
        other.close()
        assert me.dead(other.name)


def test_name_is_readable_for_people(tmp_path: Path) -> None:
    with Instance(tmp_path) as me:
        assert host_and_process(me.name).startswith("process ")
    assert host_and_process("odd") == "process  on odd"


def test_an_owner_is_not_called_dead_by_a_copy_of_its_state_folder(tmp_path: Path) -> None:
    # So a second daemon is often made: its leases would be taken from it, and what it delivers would go out twice.
    with Instance(tmp_path / "one") as before:
        shutil.copytree(tmp_path / "one", tmp_path / "other")
        with Instance(tmp_path / "one") as after, Instance(tmp_path / "other") as copy:
            assert not copy.dead(before.name)
            assert not copy.dead(after.name)
            assert not after.dead(copy.name)
            assert copy.dead(copy.name) is False
        ended = Instance(tmp_path / "other")
        ended.close()
        with Instance(tmp_path / "other") as copy:
            assert copy.dead(ended.name)


def test_an_owner_is_not_called_dead_on_a_copy_of_its_machine(tmp_path: Path) -> None:
    # A copied disk has the same folder in the same place. It has another name, and was started at another time.
    with Instance(tmp_path) as me:
        host, process, home, token = me.name.split(":")
        stopped = f"{home.rpartition('.')[0]}.5f0c2a"
        gone = "0" * len(token)
        assert me.dead(f"{host}:{process}:{home}:{gone}")
        assert me.dead(f"{host}:{process}:{stopped}:{gone}"), "this machine, before it was started again"
        assert me.dead(f"elsewhere:{process}:{home}:{gone}"), "two containers on one machine"
        assert not me.dead(f"elsewhere:{process}:{stopped}:{gone}")
        assert host == socket.gethostname()
