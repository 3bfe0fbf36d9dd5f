"""The demo's own parts: what it expects, compares and shows. ``demo --once`` as a whole is tested end to end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest
from rich.console import Console

from gatewayd import ConfigError, TransientError
from gatewayd_demo import gatewayd_commands, screen
from gatewayd_demo.command import Demo
from gatewayd_demo.gateway import Filing, Gateway, Related, SentLine, missing
from gatewayd_demo.mails import FORWARDED, IRINA, MAILS, SALES, Arriving
from gatewayd_demo.round import DemoRun
from gatewayd_demo.show import _folder
from tests.patience import LONG
from tests.unit.supervised import until

DATE = datetime(2026, 5, 4, tzinfo=UTC)


def filing(mail: Arriving, operator: str, number: int) -> Filing:
    """What gatewayd says of a mail that was filed as expected."""

    def related(records: frozenset[tuple[str, str]]) -> list[Related]:
        return [{"kind": kind, "id": record, "label": f"label of {record}"} for kind, record in sorted(records)]

    return {
        "id": number,
        "operator": operator,
        "account": mail.account,
        "message_id": mail.message_id(number),
        "direction": "in",
        "received_at": "2026-05-04T10:00:00Z",
        "from": "anna@example.com",
        "subject": f"[b]{mail.subject}",
        "links": related(mail.links[operator]),
        "rivals": related(mail.rivals.get(operator, frozenset())),
    }


SENT: SentLine = {
    "id": 1,
    "mail": 3,
    "account": "acme-out",
    "recipients": [{"address": "duty@acme.example"}],
    "subject": "Conferma [b]",
    "cause": "rule 1",
    "state": "delivered",
}
DELIVERED = [(mail, number) for number, mail in enumerate(MAILS, 1)]
FILED = [filing(mail, operator, number) for mail, number in DELIVERED for operator in mail.links]


def test_it_is_offered_by_its_hook() -> None:
    assert gatewayd_commands() == [Demo]


def test_the_expected_filings_are_recognised() -> None:
    assert missing(FILED, DELIVERED) == []


def test_every_difference_is_named() -> None:
    rome = next(mail for mail in MAILS if mail.name == "rome-rooms")
    missing_one = [one for one in FILED if (one["operator"], one["subject"]) != ("acme", f"[b]{rome.subject}")]
    assert missing(missing_one, DELIVERED) == [f"{rome.subject!r} for acme: expected 1 filing, found 0"]
    assert missing([*FILED, FILED[0]], DELIVERED) == [f"{rome.subject!r} for acme: expected 1 filing, found 2"]
    leaked: Filing = {**FILED[-1], "operator": "globetrot"}
    assert "globetrot: expected 0 filing, found 1" in missing([*FILED, leaked], DELIVERED)[0]
    ours: Filing = {**FILED[0], "message_id": "<x@y>", "direction": "out"}
    assert missing([*FILED, ours], DELIVERED) == []
    stranger: Filing = {**FILED[0], "message_id": "<x@y>"}
    assert missing([*FILED, stranger], DELIVERED) == ["acme sees <x@y>, which nobody sent"]
    unlinked: list[Filing] = [{**one, "links": [], "rivals": []} for one in FILED]
    complaints = missing(unlinked, DELIVERED)
    assert len(complaints) == sum(bool(links) for mail in MAILS for links in [*mail.links.values(), *mail.rivals.values()])
    assert complaints[0] == f"{rome.subject!r} for acme: expected the links customer C1, person P1, reservation R4711, found none"


def test_the_mail_is_such_as_people_write() -> None:
    parsed = [message_from_bytes(mail.message(number, DATE)) for mail, number in DELIVERED]
    assert len({message["Message-ID"] for message in parsed}) == len(MAILS)
    assert sum(message.is_multipart() for message in parsed) == 2
    assert all(message["From"] and message["Subject"] and message["Date"] for message in parsed)
    assert {mail.account for mail in MAILS} == {"reservations", "irina", "sales"}
    again = replace(MAILS[0]).message_id(99)
    assert again != MAILS[0].message_id(1)


def test_mail_of_one_operator_s_accounts_is_expected_for_it_alone() -> None:
    assert all(set(mail.links) == ({"acme"} if mail.account in {IRINA, SALES} else {"acme", "globetrot"}) for mail in MAILS)


def test_the_table_shows_what_mail_is_related_to(capsys: pytest.CaptureFixture[str]) -> None:
    console = screen.console()
    console.print(screen.table(FILED, screen.title(3, [])))
    console.print(screen.outbox([SENT], "What went out"))
    screen.verdict(console, [*FILED, {**FILED[0], "direction": "out"}], [SENT, {**SENT, "account": "sales"}], [])
    screen.verdict(console, FILED, [], ["something [b]odd"])
    shown = capsys.readouterr().out
    assert "every filing is as expected" in shown
    assert "customer label of C1" in shown
    assert "to choose: label of R4713B or label of R4713O" in shown
    assert "[b]Buchung 4711" in shown
    assert f"All {len(FILED)} filings are there" in shown
    assert "Conferma [b]" in shown
    assert "All 2 deliveries arrived: 1 through acme-out, 1 through sales." in shown
    assert "Not as expected: something [b]odd" in shown
    assert "1 filings are not as expected" in screen.title(3, ["x"])
    assert screen.rows(Console(height=10)) == 5
    assert screen.rows(Console(height=60)) == 22


def test_it_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    console = screen.console()
    screen.welcome(console, Path("/tmp/a folder"), 7, address="http://127.0.0.1:1", person="acme/irina", password="[b]x")
    screen.farewell(console, None, 7)
    screen.farewell(console, Path("/tmp/kept"), 7)
    shown = capsys.readouterr().out
    assert "http://127.0.0.1:1  user acme/irina  password [b]x" in shown
    assert "gatewayd --config '/tmp/a folder' mail list --operator acme" in shown
    assert "gatewayd --config '/tmp/a folder' audit reservations" in shown
    assert "gatewayd --config /tmp/kept explain 7" in shown
    assert "--config /tmp/kept audit" not in shown
    assert "--keep FOLDER" in shown
    assert "README" in shown


def test_the_folder_is_removed_or_kept_as_asked(tmp_path: Path) -> None:
    with _folder(None) as folder:
        (folder / "file").touch()
    assert not folder.exists()
    with _folder(tmp_path / "kept" / "here") as kept:
        (kept / "file").touch()
    assert (tmp_path / "kept" / "here" / "file").exists()
    with pytest.raises(ConfigError, match="expected a new or an empty folder"), _folder(kept):
        pass
    with pytest.raises(ConfigError, match="Not a directory"), _folder(kept / "file" / "below"):
        pass


def test_gatewayd_s_own_words_are_shown_where_it_fails(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"`gatewayd import irina` ended with 78: .*gatewayd\.yaml"):
        Gateway(tmp_path).collect(["irina"])


def test_the_personal_mailbox_is_imported_over_pop3(tmp_path: Path) -> None:
    with ExitStack() as stack:
        round_ = DemoRun(tmp_path, stack)
        for mail in MAILS:
            if mail.account == IRINA:
                round_.deliver(mail)
        round_.gateway.collect([IRINA])
        assert missing(round_.gateway.filings(), round_.delivered) == []
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())


def test_office_365_is_imported_and_sends(tmp_path: Path) -> None:
    with ExitStack() as stack:
        round_ = DemoRun(tmp_path, stack)
        mails = [mail for mail in MAILS if mail.account == SALES]
        for mail in mails:
            round_.deliver(mail)
        round_.gateway.collect([SALES])
        round_.look()
        # Its forward is entered and waits; nothing says that it went.
        assert round_.wrong() == ["delivery 1 is waiting"]
        round_.gateway.send()
        round_.look()
        assert round_.wrong() == []
        (sent,) = [message_from_bytes(raw) for raw in round_._senders[SALES].taken()]
        (original,) = [mail for mail in mails if mail.name == FORWARDED[SALES]]
        (one,) = round_.sent
        assert (one["account"], one["cause"], one["recipients"][0]["address"]) == ("sales", "rule 2", "bookings@acme.example")
        assert (sent["From"], sent["To"]) == ('"Acme Tours Sales" <sales@acme.example>', "bookings@acme.example")
        (part,) = [part for part in sent.walk() if part.get_filename() == "original.eml"]
        inside = part.get_payload(decode=True)
        assert isinstance(inside, bytes)
        assert f"Message-ID: {original.message_id(mails.index(original) + 1)}\r\n".encode() in inside
        for raw in (tmp_path / "office365" / "sent").iterdir():
            raw.unlink()
        assert round_.wrong() == ["expected 1 mails through sales, found 0"]
    assert "acme.example" in (tmp_path / "accounts" / "sales.yaml").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL], ids=str)
def test_ended_in_whatever_way_it_ends_its_servers_and_its_folder_is_removed(tmp_path: Path, number: signal.Signals) -> None:
    """A killed one can't remove it: that is done by the next."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "gatewayd", "demo"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as demo,
        ExitStack() as stack,
    ):
        # It goes on for ever, and is waited for.
        stack.callback(demo.kill)
        assert demo.stdout
        assert any("A message arrives" in line for line in demo.stdout), "it never began"
        shown = next(line for line in demo.stdout if " mail show " in line)
        (folder,) = tmp_path.iterdir()
        until(lambda: "daemon started" in (folder / "daemon.log").read_text())
        if number == signal.SIGINT:
            _answered_by_a_person(folder, shown.partition(" mail show ")[2].split()[0])
        daemon = int(re.findall(r"owner=[^ :]*:(\d+):", (folder / "daemon.log").read_text())[0])
        demo.send_signal(number)
        said = demo.communicate(timeout=LONG)[0]
    assert "Traceback" not in said
    assert "Not as expected" not in said
    until(lambda: not Path(f"/proc/{daemon}").exists())
    if number == signal.SIGKILL:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tempfile.tempdir", str(tmp_path))
            (tmp_path / f"gatewayd-demo-{os.getpid()}-running").mkdir()
            with _folder(None):
                assert not folder.exists()
            (tmp_path / f"gatewayd-demo-{os.getpid()}-running").rmdir()
    assert list(tmp_path.iterdir()) == []


def _answered_by_a_person(folder: Path, mail: str) -> None:
    """What the demo offers to try works beside it, and is no fault of the demo's."""
    command = [sys.executable, "-m", "gatewayd", "--config", str(folder)]
    until(
        lambda: (
            subprocess.run([*command, "mail", "show", mail, "--operator", "acme"], capture_output=True, check=False).returncode == 0
        )
    )
    reply = [*command, "mail", "reply", mail, "--operator", "acme", "--text", "-"]
    done = subprocess.run(reply, input="Danke\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = [*command, "outbox", "list", "--operator", "acme", "--json"]
    until(lambda: '"Re:' in subprocess.run(listed, capture_output=True, text=True, check=False).stdout)
    # Its server once closed an idle connection: that lasts until the next visit.
    until(lambda: subprocess.run([*command, "status"], capture_output=True, check=False).returncode == 0)
