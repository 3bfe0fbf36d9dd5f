"""``./gw bench import``: the same mailbox by a raw drain, mbsync, getmail, mpop and ``gatewayd import``, all durable.

gatewayd runs as its user runs it, start-up included, with both matchers on against a large directory whose index was
built before. mbsync keeps its default fsyncs. getmail and fetch-one-by-one programs get a tenth of the messages.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench import measure
from gatewayd.testing.messages import booking_messages, person
from gatewayd.testing.servers import Dovecot

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

USER, FEW = "bench", "bench-few"

_DRAIN = """
import socket, sys
host, port, user = sys.argv[1:]
with socket.create_connection((host, int(port))) as connection:
    stream = connection.makefile("rb")
    stream.readline()
    connection.sendall(f"a LOGIN {user} pass\\r\\nb EXAMINE INBOX\\r\\nc UID FETCH 1:* (UID BODY.PEEK[])\\r\\n".encode())
    view = memoryview(bytearray(1 << 18))
    tail = b""
    while b"\\r\\nc OK" not in tail:
        got = connection.recv_into(view)
        tail = (tail + bytes(view[max(0, got - 200) : got]))[-400:]
        if not got:
            sys.exit(1)
"""


class Row(NamedTuple):
    """One program to measure."""

    name: str
    messages: int
    #: Returns the command for a fresh folder.
    command: Callable[[Path], Sequence[str]]


def main(given: argparse.Namespace) -> int:
    """Prepare server and directory, run all rows in interleaved rounds, and print what was seen."""
    folder = Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
    try:
        with Dovecot(pop3_no_flag_updates="yes") as dovecot:
            return _compare(given, dovecot, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _compare(given: argparse.Namespace, dovecot: Dovecot, folder: Path) -> int:
    print(f"delivering {given.messages:,} messages", flush=True)
    for user, count in ((USER, given.messages), (FEW, max(1, given.messages // 10))):
        dovecot.user(user, "pass")
        dovecot.deliver(user, booking_messages(count, heavy=True, bookings=given.reservations * 2))
        dovecot.snapshot(user)
    config = _config(given, dovecot, folder)
    started = time.monotonic()
    measure.run([sys.executable, "-m", "gatewayd", "--config", str(config), "directory", "load"], 1, str(folder / "log"))
    took = time.monotonic() - started
    print(f"indexed {given.reservations:,} reservations and {given.persons:,} persons in {took:.1f} s", flush=True)
    rows = [row for row in _rows(given, dovecot, config) if not given.only or row.name.split()[0] in given.only]
    samples: dict[str, list[measure.Sample]] = {row.name: [] for row in rows}
    for number in range(given.rounds):
        for row in rows:
            place = folder / f"{number}-{row.name.replace(' ', '-')}"
            place.mkdir()
            sample = measure.run(row.command(place), row.messages, str(place / "log"))
            samples[row.name].append(sample)
            print(f"round {number + 1}: {row.name}: {sample.rate:,.0f} messages/s", flush=True)
    print()
    measure.table(samples)
    _ratios(samples)
    return 0


def _ratios(samples: dict[str, list[measure.Sample]]) -> None:
    def rate(name: str) -> float:
        return statistics.median(sample.rate for sample in samples[name])

    print()
    for ours, theirs in (
        ("gatewayd imap", "mbsync imap"),
        ("gatewayd imap", "drain imap"),
        ("gatewayd imap", "gatewayd imap, no workers"),
        ("gatewayd pop3", "mpop pop3"),
    ):
        if samples.get(ours) and samples.get(theirs):
            print(f"{ours} / {theirs}: {rate(ours) / rate(theirs):.2f}")


def _config(given: argparse.Namespace, dovecot: Dovecot, folder: Path) -> Path:
    """Write a config folder with one operator, both matchers, a large directory, and an account for each protocol."""
    config = folder / "config"
    for name in ("operators", "accounts", "acme"):
        (config / name).mkdir(parents=True)
    (config / "secret").write_text("pass")
    (config / "gatewayd.yaml").write_text(f"state: {folder / 'state'}\n")
    (config / "operators/acme.yaml").write_text(
        "brands: [DB1, DB2]\ndirectory: {kind: csv, folder: acme}\nmatchers: [contacts, reservations]\n"
    )
    for kind in ("imap", "pop3"):
        (config / f"accounts/{kind}.yaml").write_text(
            f"kind: {kind}\noperators: [acme]\nhost: localhost\nport: {dovecot.ports[kind]}\nsecurity: none\ninsecure: true\n"
            f"username: {USER}\npassword: !file secret\nimport: {{folders: [INBOX]}}\n"
        )
    rng = random.Random(1)
    with (config / "acme/persons.csv").open("w") as file:
        file.write("id,name,email,temporary\n")
        for number in range(given.persons):
            name, email = person(number * 2)
            file.write(f'P{number},"{name}",{email},no\n')
    with (config / "acme/customers.csv").open("w") as file:
        file.write("id,name,main_contact\n")
        file.writelines(f"C{number},Customer {number},P{number * 4}\n" for number in range(given.persons // 4))
    with (config / "acme/reservations.csv").open("w") as file:
        file.write("id,code,title\n")
        for number in range(given.reservations):
            prefix = rng.choice(("B-", "O-", "L-", "B-DB1-", "O-DB2-"))
            file.write(f"R{number},{prefix}{number * 2},Trip {number}\n")
    return config


def _rows(given: argparse.Namespace, dovecot: Dovecot, config: Path) -> list[Row]:
    count, few = given.messages, max(1, given.messages // 10)
    ports = dovecot.ports

    def drain(_: Path) -> Sequence[str]:
        return [sys.executable, "-c", _DRAIN, "localhost", str(ports["imap"]), USER]

    def gatewayd(kind: str, workers: str = "") -> Callable[[Path], Sequence[str]]:
        def command(_: Path) -> Sequence[str]:
            (config / "gatewayd.yaml").write_text(f"state: {config.parent / 'state'}\n{workers}")
            # Each run begins with an empty store; only the directory's index is there already.
            for path in (config.parent / "state/store").glob("gatewayd.db*"):
                path.unlink()
            return [sys.executable, "-m", "gatewayd", "--config", str(config), "import", kind]

        return command

    return [
        Row("drain imap", count, drain),
        Row("mbsync imap", count, lambda place: _mbsync(place, ports["imap"])),
        Row("getmail imap", few, lambda place: _getmail(place, ports["imap"])),
        Row("gatewayd imap", count, gatewayd("imap")),
        Row("gatewayd imap, no workers", count, gatewayd("imap", "workers: {processes: 0}\n")),
        Row("mpop pop3", count, lambda place: _mpop(place, ports["pop3"])),
        Row("gatewayd pop3", count, gatewayd("pop3")),
    ]


def _mbsync(place: Path, port: int) -> Sequence[str]:
    for name in ("cur", "new", "tmp"):
        (place / "inbox" / name).mkdir(parents=True)
    rc = place / "rc"
    rc.write_text(
        f"IMAPStore far\nHost localhost\nPort {port}\nUser {USER}\nPass pass\nSSLType None\nAuthMechs LOGIN\n\n"
        f"MaildirStore near\nInbox {place}/inbox\n\nChannel c\nFar :far:\nNear :near:\n"
        f"Patterns INBOX\nSync Pull New\nSyncState {place}/\n"
    )
    return ["mbsync", "-c", str(rc), "-q", "c"]


def _getmail(place: Path, port: int) -> Sequence[str]:
    for name in ("cur", "new", "tmp"):
        (place / "box" / name).mkdir(parents=True)
    if os.geteuid() == 0:
        # Then it runs as nobody, and these are its folders.
        for path in (place, place / "box", *(place / "box").iterdir()):
            shutil.chown(path, "nobody")
        place.parent.chmod(0o755)
    rc = place / "getmailrc"
    rc.write_text(
        f"[retriever]\ntype = SimpleIMAPRetriever\nserver = localhost\nport = {port}\nusername = {FEW}\npassword = pass\n"
        f"[destination]\ntype = Maildir\npath = {place}/box/\n"
        "[options]\nread_all = true\n"
    )
    # As root it refuses to deliver.
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    return [*user, "getmail", "--getmaildir", str(place), "--rcfile", str(rc), "-q"]


def _mpop(place: Path, port: int) -> Sequence[str]:
    for name in ("cur", "new", "tmp"):
        (place / "box" / name).mkdir(parents=True)
    rc = place / "mpoprc"
    rc.write_text(
        f"account a\nhost localhost\nport {port}\nuser {USER}\npassword pass\ntls off\nauth user\nkeep on\n"
        f"uidls_file {place}/uidls\ndelivery maildir {place}/box\n"
    )
    rc.chmod(0o600)
    return ["mpop", f"--file={rc}", "-q", "a"]
