"""The service under a real systemd, in a machine that boots in a container; where that can't be had, by the notify socket alone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.house import ROOT, House
from tests.e2e.machine import Machine, missing
from tests.patience import AT_ONCE, LONG, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

#: Why there is no machine; empty if there is one.
MISSING = missing()
#: The promise is 5 s; the rest is systemctl's.
STOPS_WITHIN = 6.0
USER = "systemd@example.com"
#: At most 1.1 (systemd counts tenths).
EXPOSURE = 11

WATCHED = "[Service]\nWatchdogSec=3s\nRestartSec=100ms\n"
PERSONS = "id,name,email\nP1,Anna,anna@nord.example\n"


# --- by the notify socket: always -------------------------------------------------------------------------------------


def _heard(listener: socket.socket, word: str) -> dict[str, str]:
    """The fields of the next datagram that has this one."""
    while True:
        fields = dict(line.split("=", 1) for line in listener.recv(4096).decode().splitlines())
        if word in fields:
            return fields


@contextmanager
def _daemon(house: House, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gatewayd", "--config", str(house.folder), "run"]
    environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "3000000"}
    with subprocess.Popen(command, env=environment, cwd=ROOT) as daemon:
        try:
            yield daemon
        finally:
            daemon.kill()


def test_the_daemon_tells_the_notify_socket_how_it_is(tmp_path: Path, dovecot: Dovecot) -> None:
    dovecot.user(USER, "pass")
    house = House(tmp_path)
    house.operator("acme", persons=PERSONS)
    house.account("sales", "imap", dovecot.ports["imap"], USER)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(LONG)
        with _daemon(house, tmp_path) as daemon:
            _lives(daemon, listener)


def _lives(daemon: subprocess.Popen[bytes], listener: socket.socket) -> None:
    assert _heard(listener, "READY")
    assert _heard(listener, "STATUS")["STATUS"].startswith("1 account")
    assert _heard(listener, "WATCHDOG")
    daemon.send_signal(signal.SIGHUP)
    assert int(_heard(listener, "RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert _heard(listener, "READY")
    daemon.send_signal(signal.SIGTERM)
    assert _heard(listener, "STOPPING")
    assert daemon.wait(AT_ONCE) == 0


# --- by systemd -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Iterator[Machine]:
    """A machine with the service as README installs it, and one account of a server on this host."""
    if MISSING:
        pytest.skip(MISSING)
    dovecot.user(USER, "pass")
    dovecot.deliver(USER, booking_messages(2))
    with Machine.booted(tmp_path_factory.mktemp("machine")) as machine:
        machine.good("gatewayd install")
        machine.write("/etc/gatewayd/ca.pem", dovecot.ca_file.read_text())
        machine.write("/etc/gatewayd/acme/persons.csv", PERSONS)
        machine.write("/etc/gatewayd/operators/acme.yaml", "directory: {kind: csv, folder: acme}\nmatchers: [contacts]\n")
        machine.write("/etc/gatewayd/credentials/sales", "pass\n", mode=0o600)
        machine.write(
            "/etc/gatewayd/accounts/sales.yaml",
            f"kind: imap\noperators: [acme]\nhost: localhost\nport: {dovecot.ports['imaps']}\nca_file: ca.pem\n"
            f"username: {USER}\npassword: !credential sales\nimport: {{every: 1s}}\n",
        )
        # As root before the first start, when root alone owns everything.
        machine.good("gatewayd check --online")
        machine.good("gatewayd import sales")
        machine.good("systemctl enable --now gatewayd")
        yield machine


@pytest.fixture
def running(machine: Machine) -> Machine:
    """The service, up and with nothing counted yet."""
    machine.good("systemctl reset-failed gatewayd; systemctl start gatewayd")
    return machine


def _filed(machine: Machine) -> int:
    return len(machine.good("gatewayd mail list --json").splitlines())


def _import_by_the_daemon(machine: Machine, dovecot: Dovecot, *, seed: int) -> None:
    before = _filed(machine)
    dovecot.deliver(USER, booking_messages(3, seed=seed))
    until = time.monotonic() + LONG
    while _filed(machine) < before + 3:
        assert time.monotonic() < until, machine.journal()
        time.sleep(0.2)


def test_the_unit_is_sound_and_shut_tight(running: Machine) -> None:
    said = running.good("systemd-analyze verify --recursive-errors=yes gatewayd.service")
    assert said == ""
    said = running.good(f"systemd-analyze security --no-pager --threshold={EXPOSURE} gatewayd.service")
    (exposure,) = re.findall(r"Overall exposure level for gatewayd.service: (\S+)", said)
    assert float(exposure) <= EXPOSURE / 10
    assert running.show("MemoryMax") != "infinity"


def test_it_becomes_ready_and_says_how_it_is(running: Machine) -> None:
    assert running.show("ActiveState") == "active"
    running.until("StatusText", "1 account, all well")
    assert "WantedBy=multi-user.target" in running.good("systemctl show --property=WantedBy gatewayd")


def test_P9_it_has_a_user_of_its_own_and_its_state_is_its_own(running: Machine) -> None:
    (uid,) = set(re.findall(r"^Uid:(.*)$", running.good(f"cat /proc/{running.show('MainPID')}/status"), re.MULTILINE)[0].split())
    assert running.good("id -u gatewayd").strip() == uid != "0"
    assert running.good("stat --format='%u %a' /var/lib/gatewayd").split() == [uid, "700"]
    assert running.good(f"find /var/lib/gatewayd ! -uid {uid} -o -perm /077") == ""
    assert running.good("find /etc/gatewayd ! -uid 0") == ""
    assert running.show("LimitCORE") == "0"
    # Files of a process that can't be dumped belong to root (proc_pid(5)).
    assert running.good(f"stat --format=%u /proc/{running.show('MainPID')}/environ").strip() == "0"


def test_it_imports_with_the_secret_that_systemd_gave_it(running: Machine, dovecot: Dovecot) -> None:
    _import_by_the_daemon(running, dovecot, seed=11)
    assert running.good("stat --format=%a /etc/gatewayd/credentials").strip() == "700"


def test_commands_of_root_work_beside_it_and_leave_nothing_of_root_s(running: Machine) -> None:
    (uid,) = set(running.good("stat --format=%u /var/lib/gatewayd/").split())
    assert "1 account" in running.good("gatewayd check --online")
    assert "sales" in running.good("gatewayd status")
    assert "sales" in running.good("gatewayd import sales")
    first = json.loads(running.good("gatewayd mail list --json").splitlines()[0])
    assert running.good(f"gatewayd mail raw {first['id']}").startswith("Return-Path: ")
    running.good(f"gatewayd mail link {first['id']} person P1")
    running.good("gatewayd queue list; gatewayd directory load; gatewayd audit sales")
    assert running.good(f"find /var/lib/gatewayd/ ! -uid {uid}") == ""
    assert running.show("NRestarts") == "0"


def test_a_changed_credential_is_told_until_the_service_has_it(running: Machine) -> None:
    running.good("gatewayd check")
    running.write("/etc/gatewayd/credentials/sales", "changed\n", mode=0o600)
    try:
        running.good("systemctl reload gatewayd")
        checked = running.run("gatewayd check")
        assert (checked.code, "older copy of !credential sales" in checked.out) == (1, True), checked
        assert "older copy of !credential sales" in running.run("gatewayd status").out
    finally:
        running.write("/etc/gatewayd/credentials/sales", "pass\n", mode=0o600)
    running.good("systemctl restart gatewayd")
    running.good("gatewayd check")


def test_it_reloads(running: Machine) -> None:
    pid = running.show("MainPID")
    running.write(
        "/etc/gatewayd/accounts/idle.yaml", "kind: imap\noperators: [acme]\nhost: localhost\nusername: i\npassword: !env NONE\n"
    )
    running.good("systemctl reload gatewayd")
    running.says("config loaded accounts=2")
    running.good("rm /etc/gatewayd/accounts/idle.yaml; systemctl reload gatewayd")
    running.says("config loaded accounts=1 ", times=2)
    assert (running.show("ActiveState"), running.show("MainPID"), running.show("NRestarts")) == ("active", pid, "0")


def test_it_stops_at_once_and_cleanly(running: Machine) -> None:
    watch = Stopwatch()
    running.good("systemctl stop gatewayd")
    assert watch.seconds < STOPS_WITHIN
    assert (running.show("ActiveState"), running.show("Result")) == ("inactive", "success")
    # The same commands work when it does not run.
    assert _filed(running) >= 2


def test_a_daemon_that_hangs_is_restarted_by_the_watchdog(running: Machine, dovecot: Dovecot) -> None:
    running.write("/etc/systemd/system/gatewayd.service.d/test.conf", WATCHED)
    running.good("systemctl daemon-reload; systemctl restart gatewayd")
    # It feeds the watchdog for longer than that waits.
    time.sleep(4)
    assert running.show("NRestarts") == "0"
    pid = running.show("MainPID")
    running.good(f"kill -STOP {pid}")
    running.until("NRestarts", "1", seconds=30)
    running.until("ActiveState", "active")
    assert "Watchdog timeout" in running.journal()
    assert running.show("MainPID") != pid
    _import_by_the_daemon(running, dovecot, seed=12)


def test_a_faulty_main_file_stops_it_and_it_is_not_started_again(running: Machine) -> None:
    good = running.good("cat /etc/gatewayd/gatewayd.yaml")
    running.good("systemctl stop gatewayd")
    running.write("/etc/gatewayd/gatewayd.yaml", "stat: /var/lib/gatewayd\n")
    assert running.run("systemctl start gatewayd").code != 0
    time.sleep(1)
    assert [running.show(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")] == ["failed", "78", "0"]
    assert "gatewayd.yaml:1:1" in running.journal()
    running.write("/etc/gatewayd/gatewayd.yaml", good)
    running.good("systemctl start gatewayd")


@pytest.mark.parametrize("name", ["gatewayd.yaml", "accounts/sales.yaml", "accounts/new.yaml"])
def test_a_reload_of_a_faulty_file_fails_aloud_and_everybody_goes_on(running: Machine, dovecot: Dovecot, name: str) -> None:
    path = f"/etc/gatewayd/{name}"
    good = running.run(f"cat {path}").out
    running.until("ActiveState", "active")
    pid = running.show("MainPID")
    running.write(path, good + "sotre: {}\n")
    assert running.run("systemctl reload gatewayd").code != 0
    # Of a file without a kind, nobody knows which keys it may have.
    fault = "unknown key 'sotre'" if good else "missing key 'kind'"
    assert any(name in line and fault in line for line in running.journal().splitlines())
    running.until("StatusText", f"1 account, faulty, so as last accepted: {name}" if good else f"1 account, faulty: {name}")
    assert running.run("gatewayd check --only-files").code == 78
    assert running.run("gatewayd status").code == 1
    # Staff goes on, and so does the daemon.
    _import_by_the_daemon(running, dovecot, seed=len(name))
    running.write(path, good) if good else running.good(f"rm {path}")
    running.good("systemctl reload gatewayd")
    running.until("StatusText", "1 account, all well")
    assert running.show("MainPID") == pid
