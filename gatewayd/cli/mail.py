"""``mail``: list, show, link and mark mail. Sending is in ``writing``."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from gatewayd.api.delivery import DeliveryQuery
from gatewayd.api.queries import Query, file_rows, filing_row
from gatewayd.api.values import Kind
from gatewayd.cli import output, writing
from gatewayd.cli.outbox import delivery_line, delivery_row
from gatewayd.cli.params import ID, Asker, all_operators_option, json_option, limit_option, operator_options
from gatewayd.errors import PermanentError
from gatewayd.message.values import CHUNK
from gatewayd.runtime.privileges import mighty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from gatewayd.api.queries import FilingView, Viewer
    from gatewayd.cli.app import App
    from gatewayd.message.values import Source

__all__ = ["COMMANDS"]

KINDS = click.Choice(get_args(Kind))
#: How many deliveries are shown with a mail: the newest.
_DELIVERIES = 100
_OUT = click.option("-o", "--output", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write to this new file.")


@click.group("mail")
def _mail() -> None:
    """List, show, link, mark, answer, send and forward mail."""


@_mail.command("list")
@operator_options
@all_operators_option
@click.option("--account", metavar="A", help="Only mail of this account.")
@click.option("--unread/--read", default=None, help="Only unread, or only read mail.")
@click.option("--linked/--unlinked", default=None, help="Only mail with links, or only mail without any.")
@click.option("--kind", type=KINDS, help="Only mail linked to a record of this kind.")
@click.option("--record", metavar="ID", help="With --kind: only mail linked to this record.")
@click.option("--text", metavar="WORD", help="Only mail with this text in subject, sender or recipients.")
@click.option("--search", "words", metavar="WORDS", help="Only mail with these words in subject, people, text or files' names.")
@click.option("--before", type=ID, metavar="ID", help="Only ids below this one: continue a list.")
@limit_option
@json_option
@click.pass_obj
def _list(app: App, /, *, asker: Asker, as_json: bool, **asked: Any) -> None:
    """List mail, newest first; with one --user and no --account, of the accounts that the user follows."""
    if asked["record"] and not asked["kind"]:
        raise click.UsageError("--record goes with --kind")
    viewers = app.viewers(asker)
    account = asked["account"]
    listed, more = merged(app, viewers, Query(**asked, followed=account is None))
    if not listed and account is not None and not any(fault.file == f"accounts/{account}.yaml" for fault in app.config.faults):
        # Raises for an account that is neither in the config nor has mail.
        app.account(account)
    print_filings(listed, as_json=as_json)
    if as_json:
        return
    if not listed:
        output.note("No mail.")
    if more:
        output.more(before=listed[-1].id)


def merged(app: App, viewers: Sequence[Viewer], query: Query) -> tuple[list[FilingView], bool]:
    """Return the filings that all viewers see, newest first, up to the limit, and whether there are more.

    All filings of a mail are returned together, even beyond the limit, so that ``--before`` its id continues after all of them.
    """
    asked = replace(query, limit=query.limit + 1)
    found = sorted((one for viewer in viewers for one in app.desk.list(viewer, asked)), key=lambda one: -one.id)
    if len(found) <= query.limit:
        return found, False
    last = found[query.limit - 1].id
    listed = [one for one in found if one.id >= last]
    return listed, len(listed) < len(found)


def print_filings(listed: Iterable[FilingView], *, as_json: bool) -> None:
    """Print filings as lines of JSON or as a table."""
    if as_json:
        for filing in listed:
            output.json_line(filing_row(filing))
        return
    rows = [
        (
            str(filing.id),
            "*" if filing.unread else "out" if filing.direction == "out" else "",
            filing.operator,
            filing.account,
            output.minute(filing.received_at),
            f"to {', '.join(filing.to)}"[:60] if filing.direction == "out" else filing.sender_name or filing.sender,
            filing.subject[:60],
            output.related(filing),
            f"{filing.queue}: {filing.faults[0].by}" if filing.queue and filing.faults else "",
        )
        for filing in listed
    ]
    output.table(("#id", "", "operator", "account", "received", "from", "subject", "related to", "queue"), rows)


@_mail.command("show")
@operator_options
@all_operators_option
@click.argument("mail_id", type=ID, metavar="ID")
@json_option
@click.pass_obj
def _show(app: App, mail_id: int, *, asker: Asker, as_json: bool) -> None:
    """Show one mail: headers, attachments, links with their reasons, deliveries and text."""
    viewer = app.reader(mail_id, asker)
    filing, mail = app.desk.get(viewer, mail_id), app.desk.mail(viewer, mail_id)
    deliveries = app.store.deliveries(viewer, DeliveryQuery(mail_id=mail_id, limit=_DELIVERIES + 1))
    files = app.desk.files(filing, mail)
    inline = files[len(filing.attachments) :]
    if as_json:
        rows: list[output.Json] = [delivery_row(one) for one in deliveries[:_DELIVERIES]]
        more: dict[str, output.Json] = {"inline": file_rows(inline), "notes": list(mail.notes)}
        output.json_line({**filing_row(filing), **more, "text": mail.text, "deliveries": rows})
        return
    output.say(f"Mail {filing.id} of {filing.operator}, by {filing.account} {filing.folder} {filing.key}")
    for name, addresses in (("From:", mail.from_), ("To:", mail.to), ("Cc:", mail.cc)):
        if addresses:
            output.say(f"{name:<12}{', '.join(map(str, addresses))}")
    output.say(f"Date:       {output.moment(filing.sent_at) or 'none'}, received {output.moment(filing.received_at)}")
    output.say(f"Subject:    {filing.subject}")
    for number, one in enumerate(files, 1):
        kind = "Attachment:" if number <= len(filing.attachments) else "Inline:    "
        output.say(f"{kind} {number}. {one.name} ({one.type}, {one.size} bytes)")
    related = [
        *(f"Note:       {note}" for note in mail.notes),
        *(f"Related to: {link.kind} {link.id}, {link.label} (by {link.by}: {link.because})" for link in filing.links),
        *(f"Rival:      {rival.kind} {rival.id}, {rival.label} ({rival.because})" for rival in filing.rivals),
        *(f"Fault:      {fault.by}: {fault.error} (queue {filing.queue})" for fault in filing.faults),
        *(f"Delivery:   {delivery_line(delivery)}" for delivery in deliveries[:_DELIVERIES]),
    ]
    if len(deliveries) > _DELIVERIES:
        related.append(f"Delivery:   there is more: see `gatewayd outbox list --mail {mail_id}`")
    for line in (*related, "", *mail.text.splitlines()):
        output.say(line)


@_mail.command("raw")
@operator_options
@all_operators_option
@click.argument("mail_id", type=ID, metavar="ID")
@_OUT
@click.pass_obj
def _raw(app: App, mail_id: int, *, asker: Asker, target: Path | None) -> None:
    """Write the raw bytes of a mail, exactly as they came from the server."""
    viewer = app.reader(mail_id, asker)
    _write(pieces(app.desk.source(viewer, mail_id)), target)


@_mail.command("attachment")
@operator_options
@all_operators_option
@click.argument("mail_id", type=ID, metavar="ID")
@click.argument("number", type=int, metavar="N")
@_OUT
@click.pass_obj
def _attachment(app: App, *, mail_id: int, number: int, asker: Asker, target: Path | None) -> None:
    """Write the decoded attachment N of a mail. N is its number in `mail show`, which also counts inline files.

    The attachment's own name is never used as a path.
    """
    viewer = app.reader(mail_id, asker)
    _write(app.desk.attachment(viewer, mail_id, number), target)


def pieces(source: Source) -> Iterator[bytes]:
    """Yield a source in pieces of at most 1 MiB."""
    for offset in range(0, source.size, CHUNK):
        yield source.read(offset, CHUNK)


def _write(chunks: Iterator[bytes], target: Path | None) -> None:
    if target is None:
        if sys.stdout.isatty():
            raise click.UsageError("raw bytes would garble the terminal: give -o FILE, or pipe them")
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return
    try:
        with _new(target) as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise PermanentError(f"{target} can't be written: {error.strerror}", advice=_elsewhere(error)) from error


def _elsewhere(error: OSError) -> str:
    """Return advice for a file that can't be written. Started by root, we have given up root's rights by now."""
    if isinstance(error, PermissionError) and os.geteuid() != 0 and mighty():
        shell = "Run it without -o, and with > FILE behind it: then your shell writes it"
        return f"It would be written by user {os.geteuid()}, the owner of the state folder. {shell}."
    return "Give a new file in a writable folder."


@contextmanager
def _new(target: Path) -> Iterator[BinaryIO]:
    """Open a new file; it is removed again if writing it fails."""
    file = target.open("xb")
    try:
        with file:
            yield file
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@_mail.command("link")
@operator_options
@click.argument("mail_id", type=ID, metavar="ID")
@click.argument("kind", type=KINDS)
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@click.pass_obj
def _link(app: App, *, mail_id: int, kind: Kind, records: Sequence[str], asker: Asker) -> None:
    """Link a mail to records of the directory, by their ids. No matcher removes such a link."""
    new = app.desk.link(app.viewer(asker), mail_id, kind, records, who=app.who)
    output.note(f"{output.count(new, 'new link')}.")


@_mail.command("unlink")
@operator_options
@click.argument("mail_id", type=ID, metavar="ID")
@click.argument("kind", type=KINDS)
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@click.pass_obj
def _unlink(app: App, *, mail_id: int, kind: Kind, records: Sequence[str], asker: Asker) -> int:
    """Remove links, whoever made them. No matcher makes them again."""
    gone = app.desk.unlink(app.viewer(asker), mail_id, kind, records, who=app.who)
    output.note(f"{output.count(gone, 'link')} taken away.")
    return 0 if gone else 1


@_mail.command("read")
@operator_options
@click.argument("mail_ids", type=ID, nargs=-1, required=True, metavar="ID...")
@click.option("--unread", is_flag=True, help="Mark as unread instead.")
@click.pass_obj
def _read(app: App, mail_ids: Sequence[int], *, asker: Asker, unread: bool) -> int:
    """Mark mail as read; only here, not on the server."""
    viewer = app.viewer(asker)
    for mail_id in mail_ids:
        app.desk.get(viewer, mail_id)
    output.note(f"{app.store.mark(viewer, mail_ids, unread=unread)} changed.")
    return 0


for _command in writing.COMMANDS:
    _mail.add_command(_command)

COMMANDS = (_mail,)
