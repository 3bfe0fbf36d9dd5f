"""Bad input and bad circumstances: a clear message, the right exit code, and nothing else stops (P4, P10)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers import Dovecot
from gatewayd.testing.servers.proxy import FaultProxy, free_ports
from tests.e2e.house import ROOT, House
from tests.patience import LONG

if TYPE_CHECKING:
    from pathlib import Path

BAD_ACCOUNT = "kind: imap\noperators: [acme]\nhost: localhost\nprot: 1\nusername: x\npassword: !file secret\n"
KINDS = pytest.mark.parametrize("kind", ["imap", "pop3"])


@pytest.fixture
def user(dovecot: Dovecot, tmp_path: Path) -> str:
    name = f"faults-{tmp_path.name}"
    dovecot.user(name, "pass")
    dovecot.deliver(name, booking_messages(3))
    return name


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.operator("acme")
    return house


@KINDS
def test_P4_faulty_account_file_stops_no_other_account(kind: str, house: House, dovecot: Dovecot, user: str) -> None:
    house.account("good", kind, dovecot.ports[kind], user)
    house.write("accounts/bad.yaml", BAD_ACCOUNT)
    done = house.run("import", "--json")
    assert done.code == 78, "nobody looks at an account that is silently left out"
    assert [row["filed"] for row in done.rows] == [3]
    assert "1 fault, in accounts/bad.yaml;" in done.err
    assert house.run("import", "good").code == 0
    checked = house.run("check")
    assert checked.code == 78
    assert "accounts/bad.yaml:4:1: " in checked.out
    assert "port" in checked.out, "the nearest word"
    named = house.run("import", "bad")
    assert named.code == 78
    assert "accounts/bad.yaml:4:1" in named.err


def test_faulty_gatewayd_yaml_refuses_everything(house: House) -> None:
    house.write("gatewayd.yaml", "stat: /tmp\n")
    for command in (["check"], ["import"], ["mail", "list"]):
        done = house.run(*command)
        assert done.code == 78
        assert "gatewayd.yaml:1:1" in done.err


def test_missing_secret_is_that_accounts_fault(house: House, dovecot: Dovecot, user: str) -> None:
    house.account("good", "imap", dovecot.ports["imap"], user)
    house.account("bad", "imap", dovecot.ports["imap"], user)
    text = (house.folder / "accounts/bad.yaml").read_text()
    # It could not log in even once: the mailbox is not its own.
    house.write("accounts/bad.yaml", "second: true\n" + text.replace("!file secret", "!env GATEWAYD_TEST_NO_SUCH"))
    done = house.run("import", "--json")
    assert done.code == 1
    rows = {row["account"]: row for row in done.rows}
    assert rows["good"]["filed"] == 3
    assert "GATEWAYD_TEST_NO_SUCH" in rows["bad"]["error"]
    assert house.run("check").code == 78


@KINDS
def test_wrong_password(kind: str, house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", kind, dovecot.ports[kind], user)
    house.write("secret", "not-the-password\n")
    for command in (["import", "main"], ["check", "--online"]):
        done = house.run(*command)
        assert done.code == 1
        assert f"localhost:{dovecot.ports[kind]}" in done.out + done.err
        assert "password" in done.out + done.err
        assert "not-the-password" not in done.out + done.err


@KINDS
@pytest.mark.parametrize(("host", "words"), [("no-such-host.invalid", "host not found"), ("localhost", "connection refused")])
def test_unknown_host_and_refused_port(kind: str, host: str, words: str, house: House) -> None:
    house.account("main", kind, free_ports(1)[0], "u")
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text.replace("host: localhost", f"host: {host}"))
    done = house.run("import", "main")
    assert done.code == 1
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 2, f"what is wrong, and what to do: {done.err}"
    assert done.err.startswith(f"gatewayd: main: {host}:")


@KINDS
def test_untrusted_certificate(kind: str, house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", kind, dovecot.ports[f"{kind}s"], user, security="tls")
    done = house.run("import", "main")
    assert done.code == 1
    assert "certificate is not trusted" in done.err
    assert "ca_file" in done.err
    house.account("main", kind, dovecot.ports[f"{kind}s"], user, security="tls", more=f"ca_file: {dovecot.ca_file}\n")
    house.good("import", "main")


@KINDS
def test_starttls_that_is_not_offered_is_refused(kind: str, house: House) -> None:
    with Dovecot(ssl="no") as plain:
        plain.user("u", "pass")
        house.account("main", kind, plain.ports[kind], "u", security="starttls")
        done = house.run("import", "main")
    assert done.code == 1
    assert "STLS" in done.err or "STARTTLS" in done.err


def test_missing_folder_is_that_folders_fault(house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", "imap", dovecot.ports["imap"], user)
    text = (house.folder / "accounts/main.yaml").read_text()
    house.write("accounts/main.yaml", text.replace("[INBOX]", "[Inbxo, INBOX]"))
    done = house.run("import", "main", "--json")
    assert done.code == 1
    (row,) = done.rows
    assert row["filed"] == 3
    assert "Inbxo" in row["problems"][0]
    checked = house.run("check", "--online")
    assert checked.code == 1
    assert "Inbxo" in checked.out
    assert "INBOX" in checked.out


def test_second_import_says_who_holds_the_account(house: House, dovecot: Dovecot, user: str) -> None:
    connected, go_on = threading.Event(), threading.Event()

    def hold(_count: int) -> None:
        connected.set()
        go_on.wait(LONG)

    with FaultProxy("127.0.0.1", dovecot.ports["imap"]) as proxy:
        proxy.call_at(1, hold)
        house.account("main", "imap", proxy.port, user, timeout=f"{LONG:g}s")
        with house.start("import", "main", "--json") as first:
            try:
                assert connected.wait(LONG), "the first never came to the server"
                second = house.run("import", "main")
            finally:
                go_on.set()
            out, _ = first.communicate(timeout=LONG)
    assert second.code == 1
    assert f"process {first.pid} on " in second.err
    assert '"filed": 3' in out


@pytest.fixture
def small_disk(tmp_path: Path) -> dict[str, str]:
    """An environment in which no file grows beyond 2 MiB, which to a program is a full disk."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))\n"
    )
    return {"PYTHONPATH": str(tmp_path / "site")}


def test_P2_full_disk_loses_nothing_and_goes_on_when_there_is_room(
    house: House, dovecot: Dovecot, user: str, small_disk: dict[str, str]
) -> None:
    dovecot.deliver(user, booking_messages(200, seed=4, heavy=True))
    house.account("main", "imap", dovecot.ports["imap"], user)
    done = house.run("import", "main", environment=small_disk)
    assert done.code == 1
    assert "disk is full" in done.err
    (report,) = house.good("import", "main", "--json").rows
    assert report["error"] is None
    assert house.good("audit", "main", "--json").rows[0]["states"] == {"filed": 203}


def test_read_only_database_and_newer_version_and_no_database(house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", "imap", dovecot.ports["imap"], user)
    house.good("import", "main")
    database = house.database
    with sqlite3.connect(database) as db:
        db.execute("UPDATE gatewayd_sql_version SET version_num = 'from-the-future'")
    db.close()
    done = house.run("mail", "list")
    assert done.code == 78
    assert "newer" in done.err
    for path in house.database.parent.glob("gatewayd.db*"):
        path.unlink()
    database.write_bytes(b"this is no database" * 100)
    done = house.run("mail", "list")
    assert done.code == 78
    assert "gatewayd.db" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["mail"],
        ["mail", "show"],
        ["mail", "show", "x"],
        ["import", "--what"],
        ["mail", "list", "--limit", "0"],
        ["mail", "show", "9" * 23],
        ["mail", "list", "--before", "9" * 23],
        ["queue", "retry", "9" * 23],
        ["explain", "9" * 23],
        ["mail", "read", "0"],
        ["import", "--dry-run", "--from-beginning"],
        ["import", "--dry-run", "--key", "1"],
    ],
)
def test_bad_usage_exits_2(house: House, arguments: list[str]) -> None:
    assert house.run(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "nobody"],
        ["mail", "show", "4711"],
        ["mail", "raw", "4711"],
        ["mail", "attachment", "4711", "1"],
        ["mail", "link", "4711", "customer", "C1"],
        ["mail", "list", "--operator", "nobody"],
        ["mail", "list", "--account", "nobody"],
        ["explain", "no-such-file.eml"],
        ["explain", "4711"],
        ["audit", "nobody"],
    ],
)
def test_what_is_not_there_exits_1_with_one_clear_line(house: House, arguments: list[str]) -> None:
    done = house.run(*arguments)
    assert done.code == 1
    assert done.err.startswith("gatewayd: ")
    assert "Traceback" not in done.err


def test_missing_config_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gatewayd", "--config", str(tmp_path / "none"), "check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 78
    assert str(tmp_path / "none") in done.stderr


def test_reader_that_has_seen_enough_is_no_error(house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", "imap", dovecot.ports["imap"], user)
    house.good("import", "main")
    shell = f"{sys.executable} -m gatewayd --config {house.folder} mail list --json | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=ROOT, check=False, env=dict(os.environ))
    assert "Traceback" not in done.stderr


def test_state_folder_that_cannot_be_made(house: House) -> None:
    house.write("gatewayd.yaml", "state: /proc/nothing/here\n")
    done = house.run("mail", "list")
    assert done.code == 78
    assert "/proc/nothing/here" in done.err


SOMEBODY_ELSES = """
import sys
from pathlib import Path
from gatewayd import cli
from gatewayd.runtime.privileges import become_owner
# It reads what it may not enter: this house and Python, wherever they lie. It writes nothing of theirs.
become_owner(Path(sys.argv[1]))
sys.exit(cli.run(["--config", *sys.argv[2:]]))
"""


def test_a_state_folder_that_the_user_may_not_use_is_told_with_who_may(house: House, tmp_path: Path) -> None:
    shut, theirs = tmp_path / "shut", tmp_path / "theirs"
    shut.mkdir(mode=0o555)
    house.folder.chmod(0o755)
    theirs.mkdir()
    user = os.geteuid() or 65534
    os.chown(theirs, user, -1)
    house.write("gatewayd.yaml", f"state: {shut}/state\n")
    command = [sys.executable, "-c", SOMEBODY_ELSES, str(theirs), ".", "mail", "list"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=house.folder, check=False)
    said = f"gatewayd: the state folder {shut}/state can't be used by user {user}: Permission denied\n"
    advice = "  Run this as root or as the service's user, or correct `state`.\n"
    assert (done.returncode, done.stdout, done.stderr) == (78, "", said + advice)


def test_full_disk_behind_the_output_is_one_error_line(house: House) -> None:
    command = [sys.executable, "-m", "gatewayd", "--config", str(house.folder), "plugins", "list"]
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, "gatewayd: the output can't be written: No space left on device\n")


def test_config_flag_behind_the_command_is_told_its_place(house: House) -> None:
    done = house.run("check", "--config", "elsewhere")
    assert done.code == 2
    assert "--config goes before the command" in done.err


def test_check_tells_a_directory_that_cannot_be_used_from_a_faulty_row(house: House) -> None:
    house.write("acme/customers.csv", "id,name,main_contact\n,nameless,\n")
    rows = house.good("check")
    assert "operators/acme.yaml: " in rows.out
    assert "customers.csv:2" in rows.out
    assert "0 accounts, 1 operator, 0 faults." in rows.err
    shutil.rmtree(house.folder / "acme")
    gone = house.run("check")
    assert gone.code == 78
    (line,) = [line for line in gone.out.splitlines() if line.startswith("operators/acme.yaml: directory")]
    assert "directory: directory" not in line
    assert "1 fault." in gone.err


BROKEN_TRANSPORT = """
from gatewayd import Transport, hookimpl

class Pigeon(Transport):
    kind = "pigeon"

    def open(self):
        return {}["no way"]

@hookimpl
def gatewayd_transports():
    return [Pigeon]
"""


def test_P4_transport_that_raises_anything_costs_its_own_account_only(house: House, dovecot: Dovecot, user: str) -> None:
    house.write("plugins/pigeon.py", BROKEN_TRANSPORT)
    house.write("accounts/a.yaml", "kind: pigeon\noperators: [acme]\nimport: {folders: [INBOX]}\n")
    house.account("good", "imap", dovecot.ports["imap"], user)
    told = "transport of account a failed: KeyError: 'no way' (pigeon.py:8)"
    checked = house.run("check", "--online")
    assert checked.code == 1
    assert told in checked.out
    assert "good: ok" in checked.out
    dry = house.run("import", "--dry-run", "--json")
    assert dry.code == 1
    assert f"gatewayd: a: the {told}" in dry.err
    assert {row["account"] for row in dry.rows} == {"good"}
    audited = house.run("audit", "a")
    assert audited.code == 1
    assert told in audited.err
    assert "Traceback" not in checked.err + dry.err + audited.err


def test_unknown_key_is_named(house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", "imap", dovecot.ports["imap"], user)
    keys = [row["key"] for row in house.good("import", "--dry-run", "--json").rows]
    house.good("import", "main", "--key", keys[0])
    done = house.run("import", "main", "--key", keys[1], "--key", "no-such-key")
    assert done.code == 1
    assert "no such key: no-such-key" in done.err
    assert keys[1] not in done.err


def test_state_folder_is_its_owners_alone(house: House, dovecot: Dovecot, user: str) -> None:
    house.account("main", "imap", dovecot.ports["imap"], user)
    house.write("acme/customers.csv", "id,name,main_contact\nC1,Nord,\n")
    house.state.mkdir(mode=0o755)
    house.good("import", "main")
    made = list(house.state.rglob("*"))
    assert made
    assert not [path for path in made if path.stat().st_mode & 0o077]
