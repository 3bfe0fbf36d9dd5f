"""``gatewayd demo --once``, as somebody runs it who has nothing but the program: it proves itself and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from gatewayd_demo.mails import ANSWER, FORWARDED, IRINA, MAILS, OFFERED, OUT, SALES, Arriving
from tests.e2e.house import Done

#: Stands in the environment of all processes of one demo, so that those it leaves behind can be found.
MARK = "GATEWAYD_TEST_DEMO"

FILINGS = sum(len(mail.links) for mail in (*MAILS, ANSWER))
LINKS = sum(len(records) for mail in (*MAILS, ANSWER) for records in mail.links.values())

#: Is found before our own plugin of that name, and links nothing.
BROKEN = """
from gatewayd import Matcher, hookimpl

class Contacts(Matcher):
    kind = "contacts"

    def match(self, mails, directory):
        raise RuntimeError("broken on purpose")

@hookimpl
def gatewayd_matchers():
    return [Contacts]
"""


def of(name: str) -> Arriving:
    return next(mail for mail in MAILS if mail.name == name)


class Stage:
    """Where a demo is run: with folders of its own, and processes that can be told from others."""

    def __init__(self, folder: Path) -> None:
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.mark = f"{MARK}={uuid4().hex}"

    def run(self, *flags: object, stdin: str = "</dev/null", **environment: str) -> Done:
        name, _, value = self.mark.partition("=")
        env = {**os.environ, "TMPDIR": str(self.temporary), name: value, **environment}
        shell = ["sh", "-c", f'exec "$@" {stdin}', "sh", sys.executable, "-m", "gatewayd", "demo", "--once", *map(str, flags)]
        # A session of its own has no terminal, not even for a program that asks for the one it was started from.
        done = subprocess.run(shell, capture_output=True, text=True, env=env, start_new_session=True, timeout=240, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def left(self) -> list[str]:
        """The processes and folders that there still are."""
        return [*self._processes(), *(path.name for path in self.temporary.iterdir())]

    def _processes(self) -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                # It has ended meanwhile, or is somebody else's.
                continue
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_one_round_without_a_terminal_proves_itself_and_leaves_nothing(stage: Stage) -> None:
    done = stage.run(COLUMNS="250")
    assert done.code == 0, done.out + done.err
    assert done.err == ""
    assert f"All {FILINGS} filings are there, with the {LINKS} links that were expected." in done.out
    rows = [line for line in done.out.splitlines() if line.startswith("│")]
    ends = ("duty@acme.example", "bookings@acme.example")
    filed = [row for row in rows if not any(end in row for end in ends) and "Re: " not in row]
    for mail in (*MAILS, ANSWER):
        # Longer ones go on in the next line.
        beginning = " ".join(mail.subject.split()[:3])
        if not beginning.startswith("Re:"):
            assert len([row for row in filed if beginning in row]) == len(mail.links), mail.subject
    for number, (account, end) in enumerate(zip((OUT, SALES), ends, strict=True), 1):
        (forwarded,) = [row for row in rows if end in row]
        assert f"rule {number} " in forwarded
        assert f" {account} " in forwarded
        assert of(FORWARDED[account]).subject.split()[0] in forwarded
    assert [row for row in rows if "anna.berger@nordreisen.example" in row and "delivered" in row]
    assert "All 3 deliveries arrived: 2 through acme-out, 1 through sales." in done.out
    assert "reservation B-4711 Rome in spring" in done.out
    assert [len([row for row in rows if mail.subject in row and "offered" in row]) for mail in OFFERED] == [1] * len(OFFERED)
    assert "\x1b" not in done.out, "colours are for terminals"
    assert stage.left() == []


def test_a_process_that_is_left_behind_would_be_seen(stage: Stage) -> None:
    name, _, value = stage.mark.partition("=")
    command = ["sh", "-c", "echo it runs; read -r end"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, name: value}) as process:
        assert process.stdout
        assert process.stdout.readline() == b"it runs\n"
        assert stage.left() == ["sh -c echo it runs; read -r end "]
        process.communicate(b"\n")
    assert stage.left() == []


def test_a_broken_matcher_and_a_missing_filing_are_each_named(stage: Stage, tmp_path: Path) -> None:
    """Mail is filed without the matcher, and each link that is missing is named, and no other.

    Somebody else takes a message out of the personal mailbox, after it was delivered and before it is imported.
    """
    site, kept = tmp_path / "site", tmp_path / "kept"
    site.mkdir()
    (site / "gatewayd_contacts.py").write_text(BROKEN)
    mailbox = kept / "mailboxes" / IRINA
    stolen, *_ = personal = [mail for mail in MAILS if mail.account == IRINA]
    taken = threading.Event()

    def take() -> None:
        deadline = time.monotonic() + 120
        # The shared mailbox is imported first, which takes seconds: there is time between the last delivery and this import.
        while time.monotonic() < deadline and not taken.is_set():
            if (mailbox / f"{len(personal):06}.eml").exists():
                (mailbox / "000001.eml").unlink()
                taken.set()
            time.sleep(0.005)

    thief = threading.Thread(target=take)
    thief.start()
    try:
        done = stage.run("--keep", kept, PYTHONPATH=str(site), COLUMNS="250")
    finally:
        taken.set()
        thief.join()
    assert done.code == 1, done.out + done.err
    complaints = [line.removeprefix("Not as expected: ") for line in done.out.splitlines() if line.startswith("Not as expected: ")]
    # The rule of this one is for mail that is linked to a supplier: that is not forwarded either.
    assert complaints.pop() == "expected 2 mails through acme-out, found 1"
    missing = f"{stolen.subject!r} for acme: expected 1 filing, found 0"
    assert complaints.count(missing) == 1
    complaints.remove(missing)
    unlinked = [
        mail for mail in (*MAILS, ANSWER) if mail is not stolen and {kind for kind, _ in mail.links["acme"]} - {"reservation"}
    ]
    assert [complaint.partition(" for acme: ")[0] for complaint in complaints] == [repr(mail.subject) for mail in unlinked]
    rome = repr(of("rome-rooms").subject)
    assert (
        complaints[0] == f"{rome} for acme: expected the links customer C1, person P1, reservation R4711, found reservation R4711"
    )
    assert "All " not in done.out
    assert stage.left() == []


def test_what_was_kept_can_be_looked_at_as_it_says(stage: Stage, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = stage.run("--keep", kept, stdin="<&-")
    assert done.code == 0, done.out + done.err
    assert done.err == ""
    commands = [line.strip() for line in done.out.splitlines() if line.startswith("  gatewayd ")]
    assert len(commands) == 5
    for command in commands:
        shown = subprocess.run(
            ["sh", "-c", command.replace("gatewayd", f"{sys.executable} -m gatewayd", 1)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert shown.returncode == 0, f"{command}: {shown.stderr}"
        assert shown.stdout
    again = stage.run("--keep", kept)
    assert again.code == 78
    assert "expected a new or an empty folder" in again.err
    assert stage.left() == []
