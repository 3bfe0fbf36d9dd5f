from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from gatewayd import cli
from gatewayd.cli.units import systemd_version, unit, web_unit
from gatewayd.errors import PermanentError

ROOT = Path(__file__).parents[3]
PROGRAM = Path("/usr/local/lib/gatewayd/bin/gatewayd")

#: Both texts of the unit, for a systemd that knows Type=notify-reload and for one that does not; and that of the pages.
NEW = unit(PROGRAM, Path("/etc/gatewayd"), version=253)
OLD = unit(PROGRAM, Path("/etc/gatewayd"), version=252)
PAGES = web_unit(PROGRAM, Path("/etc/gatewayd"))
BY_SYSTEMD = shutil.which("systemd-analyze") or ""


def test_the_units_that_the_repository_shows_work_with_every_systemd() -> None:
    assert (ROOT / "systemd/gatewayd.service").read_text() == OLD
    assert (ROOT / "systemd/gatewayd-web.service").read_text() == PAGES


def test_P9_the_daemon_s_group_may_enter_its_state_where_the_pages_are_served_and_nobody_else_ever() -> None:
    with_pages = unit(PROGRAM, Path("/etc/gatewayd"), version=252, web=True)
    assert sorted({*with_pages.splitlines()} ^ {*OLD.splitlines()}) == ["StateDirectoryMode=0700", "StateDirectoryMode=0710"]
    assert "StateDirectoryMode=0700" in OLD


def test_a_reload_fails_aloud_where_a_file_is_faulty() -> None:
    for text in (OLD, NEW):
        assert f"ExecReload={PROGRAM} --config /etc/gatewayd check --only-files\n" in text


def test_a_systemd_that_knows_no_notify_reload_is_told_how_to_reload() -> None:
    assert "Type=notify-reload\n" in NEW
    signal = "ExecReload=/bin/sh -c 'kill -HUP $$MAINPID'\n"
    assert signal not in NEW
    assert signal in OLD
    assert _settings(OLD.replace("Type=notify\n", "Type=notify-reload\n").replace(signal, "")) == _settings(NEW)
    assert unit(PROGRAM, Path("/etc/gatewayd"), version=None) == OLD


def test_a_systemd_that_can_is_told_to_hand_over_credentials_anew_at_a_reload() -> None:
    newest = unit(PROGRAM, Path("/etc/gatewayd"), version=260)
    assert sorted({*newest.splitlines()} ^ {*NEW.splitlines()}) == ["RefreshOnReload=credentials"]
    assert unit(PROGRAM, Path("/etc/gatewayd"), version=259) == NEW


@pytest.mark.parametrize("text", [pytest.param(NEW, id="new"), pytest.param(OLD, id="old")])
def test_the_unit_says_why_it_has_its_type(text: str) -> None:
    (comment,) = re.findall(r"^# (.*)\nType=", text, re.MULTILINE)
    assert "253" in comment
    assert "`systemctl reload` waits for the reload's end" in comment


@pytest.mark.parametrize("text", [pytest.param(NEW, id="new"), pytest.param(OLD, id="old")])
def test_whatever_it_is_made_to_hold_the_machine_keeps_memory(text: str) -> None:
    assert re.findall(r"^MemoryMax=(.*)$", text, re.MULTILINE) == ["50%"]


@pytest.mark.parametrize("text", [pytest.param(NEW, id="new"), pytest.param(OLD, id="old"), pytest.param(PAGES, id="web")])
def test_P9_no_core_is_written(text: str) -> None:
    assert re.findall(r"^LimitCORE=(.*)$", text, re.MULTILINE) == ["0"]


def _settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("path", ["/a b", "/a%i", "/a$b", '/a"', "/a:b", "a", "/a\nUser=root"])
def test_a_path_that_means_something_else_in_a_unit_is_refused(path: str, tmp_path: Path) -> None:
    for made in (partial(unit, PROGRAM, version=252), partial(web_unit, PROGRAM)):
        with pytest.raises(PermanentError, match="can't stand in a unit"):
            made(Path(path))
    assert cli.run(["install", "--root", str(tmp_path), "--program", path]) == 1
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 252),
        ("usr/lib/systemd/libsystemd-shared-255.4-1.fc40.so", 255),
        ("lib/systemd/libsystemd-shared-247.so", 247),
        ("usr/lib/systemd/libsystemd-core-257.so", None),
    ],
)
def test_systemd_s_version_is_read_from_its_library(name: str, version: int | None, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert systemd_version(tmp_path) == version


@pytest.mark.parametrize("text", [pytest.param(NEW, id="new"), pytest.param(OLD, id="old"), pytest.param(PAGES, id="web")])
def test_the_units_are_shut_tight(text: str, tmp_path: Path) -> None:
    assert BY_SYSTEMD, "systemd-analyze is missing: ./gw test installs it"
    path = tmp_path / "gatewayd.service"
    path.write_text(text.replace(str(PROGRAM), "/bin/true"))
    command = [BY_SYSTEMD, "security", "--offline=true", "--no-pager", "--threshold=11", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_of_the_pages_is_right(tmp_path: Path) -> None:
    path = tmp_path / "gatewayd-web.service"
    path.write_text(PAGES.replace(str(PROGRAM), "/bin/true").replace("Wants=gatewayd.service ", "Wants="))
    done = subprocess.run([BY_SYSTEMD, "verify", "--recursive-errors=yes", str(path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_P9_the_pages_are_shut_as_tightly_as_the_daemon_and_write_nothing() -> None:
    """All that shuts the daemon in shuts the pages in, which have no state of their own and get no secret."""
    other = {"Type", "ExecStart", "User", "MemoryMax", "RestartSec", "TimeoutStopSec"}
    only_daemon = {"ExecReload", "NotifyAccess", "WatchdogSec", "TimeoutStartSec", "KillMode", "OOMPolicy", "StateDirectory"}
    only_daemon |= {"StateDirectoryMode", "LoadCredential"}
    daemon, pages = ({line for line in _settings(text) if "=" in line} for text in (OLD, PAGES))
    missing = {line for line in daemon - pages if line.partition("=")[0] not in other | only_daemon}
    assert {line.partition("=")[0] for line in missing} == {"Description", "Wants", "After"}


@pytest.mark.parametrize("text", [pytest.param(NEW, id="new"), pytest.param(OLD, id="old")])
def test_both_units_are_right_for_the_systemd_that_knows_them(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gatewayd.service"
    path.write_text(text.replace(str(PROGRAM), "/bin/true"))
    done = subprocess.run([BY_SYSTEMD, "verify", "--recursive-errors=yes", str(path)], capture_output=True, text=True, check=False)
    here = systemd_version(Path("/")) or 0
    # The only thing that an older one does not know is the type; all else it has read by then.
    expected = (
        "" if "Type=notify\n" in text or here >= 253 else f"{path}:9: Failed to parse service type, ignoring: notify-reload\n"
    )
    assert done.stderr == expected
