"""The pages under a real systemd, as a Unix user of their own; and what that user can do when somebody else has it."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from tests.e2e.machine import Machine, missing
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.servers import Dovecot

#: Why there is no machine; empty if there is one.
MISSING = missing()
USER = "pages@example.com"
#: At most 1.1 (systemd counts tenths).
EXPOSURE = 11
PYTHON = "/usr/local/lib/gatewayd/bin/python3"
STATE = "/var/lib/gatewayd"

#: As releases before had the service: without a user, and its state where only root may go.
DYNAMIC = "[Service]\nUser=gatewayd-number\nGroup=\nDynamicUser=yes\n"

#: Asks the pages for a path; prints status and page.
ASK = """
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(f"http://127.0.0.1:8025{sys.argv[1]}", timeout=30) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""

#: What the pages' user tries where somebody else has taken it over; prints what it could do.
TAKEN_OVER = """
import os, pathlib, sqlite3, sys
from gatewayd import AuthError, DaemonClient, PermanentError, calls
state = pathlib.Path("/var/lib/gatewayd")
could = []
def tries(what, do):
    try:
        do()
    except (OSError, sqlite3.Error):
        return
    could.append(what)
for name in sys.argv[1:]:
    tries(f"read {name}", lambda: pathlib.Path(name).open("rb").read(1) if not pathlib.Path(name).is_dir() else os.listdir(name))
    tries(f"write {name}", lambda: pathlib.Path(name).open("ab").close())
    tries(f"rename {name}", lambda: os.rename(name, f"{name}.new"))
for folder in (state, state / "store", pathlib.Path("/etc/gatewayd"), pathlib.Path("/etc/gatewayd/operators")):
    tries(f"make a file in {folder}", lambda: (folder / "new").touch())
database = sqlite3.connect("file:/var/lib/gatewayd/store/gatewayd.db?mode=rw", uri=True)
tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
print(len(tables), "tables")
for table in tables:
    tries(f"DELETE FROM {table}", lambda: database.execute(f'DELETE FROM "{table}"'))
    tries(f"DROP TABLE {table}", lambda: database.execute(f'DROP TABLE "{table}"'))
for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    if "run" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\\0"):
        tries(f"read the memory of {pid}", lambda: open(f"/proc/{pid}/mem", "rb").close())
        tries(f"read the environment of {pid}", lambda: open(f"/proc/{pid}/environ", "rb").close())
        tries(f"end {pid}", lambda: os.kill(int(pid), 0))
print(could)
daemon = DaemonClient(state / "web.sock")
asked = [calls.LogIn(name="acme/irina", password="wrong", address="192.0.2.1")]
mine = {"token": "made up by the pages' user"}
asked += [calls.Mark(**mine, mail_ids=(1,), unread=True), calls.LinkMail(**mine, mail_ids=(1,), kind="person", ids=("P1",))]
asked += [calls.UnlinkMail(**mine, mail_id=1, kind="person", ids=("P1",)), calls.ChooseOffers(**mine, account="sales", entry_ids=(1,))]
asked += [calls.Follow(**mine, account="sales", followed=False), calls.AskShare(**mine, account="sales")]
refused = 0
for call in asked:
    try:
        daemon.ask(call, calls.Nothing)
    except (AuthError, PermanentError):
        refused += 1
print(len(asked), "asked,", refused, "refused")
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Iterator[Machine]:
    """A machine with the service, as a release before had it, that has filed two mails."""
    if MISSING:
        pytest.skip(MISSING)
    dovecot.user(USER, "pass")
    dovecot.deliver(USER, booking_messages(2))
    with Machine.booted(tmp_path_factory.mktemp("machine")) as machine:
        machine.write("/etc/systemd/system/gatewayd.service.d/before.conf", DYNAMIC)
        machine.good("gatewayd install; rm -r /var/lib/gatewayd; systemctl daemon-reload")
        machine.write("/etc/gatewayd/ca.pem", dovecot.ca_file.read_text())
        machine.write("/etc/gatewayd/operators/acme.yaml", "users: {irina: {name: Irina, email: irina@example.com}}\n")
        machine.write("/etc/gatewayd/credentials/sales", "pass\n", mode=0o600)
        machine.write(
            "/etc/gatewayd/accounts/sales.yaml",
            f"kind: imap\noperators: [acme]\nhost: localhost\nport: {dovecot.ports['imaps']}\nca_file: ca.pem\n"
            f"username: {USER}\npassword: !credential sales\nimport: {{every: 1s}}\n",
        )
        machine.good("systemctl enable --now gatewayd")
        until = time.monotonic() + LONG
        while len(_filed(machine)) < 2:
            assert time.monotonic() < until, machine.journal()
            time.sleep(0.2)
        assert machine.good("readlink /var/lib/gatewayd").strip() == "private/gatewayd"
        yield machine


def _filed(machine: Machine) -> list[str]:
    return [json.loads(line)["subject"] for line in machine.good("gatewayd mail list --json").splitlines()]


@pytest.fixture(scope="module")
def served(machine: Machine) -> Machine:
    """The machine after the update, with the pages."""
    before = _filed(machine)
    key = machine.good(f"cat {STATE}/signing.key")
    running = machine.run("rm -r /etc/systemd/system/gatewayd.service.d; gatewayd install --web")
    assert (running.code, "systemctl stop gatewayd" in running.err) == (1, True), running
    machine.good("systemctl stop gatewayd; gatewayd install --web")
    machine.write("/etc/gatewayd/gatewayd.yaml", f"state: {STATE}\nweb: {{user: gatewayd-web}}\n")
    machine.good("systemctl daemon-reload; systemctl start gatewayd; systemctl enable --now gatewayd-web")
    assert _filed(machine) == before
    assert machine.good(f"cat {STATE}/signing.key") == key
    return machine


def _ask(machine: Machine, path: str) -> str:
    return machine.good(f"{PYTHON} - {path} <<'EOF'\n{ASK}\nEOF")


def _page(machine: Machine, path: str, text: str) -> None:
    until = time.monotonic() + LONG
    while text not in (said := machine.run(f"{PYTHON} - {path} <<'EOF'\n{ASK}\nEOF").out):
        assert time.monotonic() < until, said + machine.run("journalctl --no-pager -u gatewayd-web | tail -n 40").out
        time.sleep(0.3)


def test_P1_the_state_of_a_service_that_had_no_user_goes_on_with_one(served: Machine) -> None:
    (uid,) = set(re.findall(r"^Uid:(.*)$", served.good(f"cat /proc/{served.show('MainPID')}/status"), re.MULTILINE)[0].split())
    assert served.good("id -u gatewayd").strip() == uid
    assert served.good(f"test ! -L {STATE}; test ! -e /var/lib/private/gatewayd; find {STATE} ! -uid {uid}") == ""
    served.until("StatusText", "1 account, all well")


def test_the_units_are_sound_and_shut_tight(served: Machine) -> None:
    for name in ("gatewayd.service", "gatewayd-web.service"):
        assert served.good(f"systemd-analyze verify --recursive-errors=yes {name}") == ""
        said = served.good(f"systemd-analyze security --no-pager --threshold={EXPOSURE} {name}")
        (exposure,) = re.findall(rf"Overall exposure level for {name}: (\S+)", said)
        assert float(exposure) <= EXPOSURE / 10


def test_the_pages_answer_as_a_user_of_their_own(served: Machine) -> None:
    _page(served, "/", "200 ")
    pid = served.good("systemctl show --value --property=MainPID gatewayd-web").strip()
    status = served.good(f"cat /proc/{pid}/status")
    assert re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE) == [served.good("id -u gatewayd-web").strip()]
    assert served.good("id -u gatewayd-web") != served.good("id -u gatewayd")
    assert re.findall(r"^Cap(?:Eff|Bnd|Amb):\t0+$", status, re.MULTILINE) != []


def test_P9_its_group_may_read_the_database_and_nothing_else(served: Machine) -> None:
    opened = served.good(f"find {STATE} -perm /077 -printf '%P %m\\n'").splitlines()
    names = ["store/gatewayd.db", "store/gatewayd.db-shm", "store/gatewayd.db-wal"]
    assert sorted(opened) == [" 710", "store 750", *(f"{name} 640" for name in names), "web.sock 660"]
    served.good("systemctl restart gatewayd; gatewayd status")
    assert sorted(served.good(f"find {STATE}/store -type f -printf '%f %m\\n'").split()) == sorted(
        word for name in names for word in (name.removeprefix("store/"), "640")
    )
    _page(served, "/", "200 ")


def test_P9_whoever_takes_over_the_pages_user_changes_nothing_and_learns_no_key(served: Machine) -> None:
    """It reads the config and the database, and can ask the daemon for what somebody who is signed in may do."""
    key = f"{STATE}/sealing.key"
    served.good(
        f"test -e {STATE}/signing.key; test -e {key} || (umask 077; head -c 32 /dev/urandom | base64 >{key}); chown gatewayd: {key}"
    )
    files = served.good(f"find {STATE} -mindepth 1 ! -path '{STATE}/store*' ! -name web.sock").split()
    files += ["/etc/gatewayd/credentials", "/etc/gatewayd/credentials/sales"]
    assert len(files) > 5
    unit = served.good("systemctl show --property=User,Group gatewayd-web").split()
    assert unit == ["User=gatewayd-web", "Group=gatewayd"]
    served.write("/srv/taken.py", TAKEN_OVER)
    as_pages = "setpriv --reuid=gatewayd-web --regid=gatewayd --clear-groups --bounding-set=-all"
    said = served.good(f"cd /; {as_pages} {PYTHON} /srv/taken.py {' '.join(files)}")
    tables, could, asked = said.splitlines()
    assert int(tables.split()[0]) > 20, said
    assert could == "[]"
    assert re.fullmatch(r"(\d+) asked, \1 refused", asked), said
    served.good("gatewayd audit sales")


def test_without_the_daemon_the_pages_say_so_and_go_on_after_it(served: Machine) -> None:
    _page(served, "/", "200 ")
    served.good("systemctl stop gatewayd")
    assert "200" in _ask(served, "/")
    served.good("systemctl restart gatewayd-web")
    _page(served, "/", "200 ")
    served.good("systemctl start gatewayd")
    _page(served, "/", "200 ")
    assert served.good("systemctl show --value --property=NRestarts gatewayd-web").strip() == "0"
