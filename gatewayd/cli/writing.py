"""``mail send``, ``mail reply`` and ``mail forward``: put mail that a person sends into the outbox."""

from __future__ import annotations

import mimetypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatewayd.cli import output
from gatewayd.cli.outbox import target_fields
from gatewayd.cli.params import ID, Asker, json_option, operator_options
from gatewayd.desk import Forwarding, NewMail, Writer
from gatewayd.desk.composing.writing import AttachedFile
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from gatewayd.api.queries import Json
    from gatewayd.cli.app import App
    from gatewayd.desk import PreparedMail

__all__ = ["COMMANDS"]

#: The largest file: no account can be allowed to send more.
_LARGEST = 1 << 30
_TEXTS = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_FILES = click.Path(path_type=Path, dir_okay=False)


def _addresses(flag: str, description: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(flag, multiple=True, metavar="ADDRESS", help=f"{description}; may be repeated.")


def _new_mail_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of a new mail."""
    options = (
        _addresses("--cc", "Who gets a copy"),
        _addresses("--bcc", "Who gets a copy that the others don't see"),
        click.option("--text", type=_TEXTS, metavar="FILE", help="The text, in UTF-8; - for standard input."),
        click.option(
            "--html", type=_TEXTS, metavar="FILE", help="The text as HTML, in UTF-8; without --text, plain text is made of it."
        ),
        click.option("--attach", type=_FILES, multiple=True, metavar="FILE", help="A file to attach; may be repeated."),
        click.option("--from", "sender", metavar="ADDRESS", help="From whom; by default the account's `from`."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _sending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of all commands that send."""
    return click.option("--explain", is_flag=True, help="Show what would happen, and send nothing.")(json_option(command))


@click.command("send")
@operator_options
@_addresses("--to", "Who gets it, as name@domain or 'Name <name@domain>'")
@click.option("--subject", required=True, help="The subject.")
@_new_mail_options
@_sending_options
@click.pass_obj
def _send(app: App, /, *, asker: Asker, explain: bool, as_json: bool, **asked: Any) -> int:
    """Send a new mail by the operator's system account, as that account allows."""
    prepared = _writer(app).new_mail(app.viewer(asker), _new_mail(**asked), who=app.who)
    return _done(app, prepared, explain=explain, as_json=as_json)


@click.command("reply")
@operator_options
@click.argument("mail_id", type=ID, metavar="ID")
@click.option("--all", "to_all", is_flag=True, help="To the mail's other recipients too.")
@_addresses("--to", "Who else gets it")
@click.option("--subject", default="", help="The subject; by default that of the mail, with a single Re:.")
@_new_mail_options
@_sending_options
@click.pass_obj
def _reply(app: App, /, mail_id: int, *, asker: Asker, to_all: bool, explain: bool, as_json: bool, **asked: Any) -> int:
    """Answer a received or sent mail, with the original quoted."""
    viewer = app.viewer(asker)
    prepared = _writer(app).reply(viewer, mail_id, _new_mail(**asked), who=app.who, to_all=to_all)
    return _done(app, prepared, explain=explain, as_json=as_json)


@click.command("forward")
@operator_options
@click.argument("mail_id", type=ID, metavar="ID")
@click.argument("to", nargs=-1, required=True, metavar="TO...")
@click.option("--inline", is_flag=True, help="Resend the mail as it is, byte for byte, instead of attached to a new one.")
@click.option("--again", is_flag=True, help="Even if it was forwarded there before.")
@_sending_options
@click.pass_obj
def _forward(
    app: App, mail_id: int, to: Sequence[str], *, asker: Asker, inline: bool, again: bool, explain: bool, as_json: bool
) -> int:
    """Forward a mail to targets, and to addresses that its account approves, by name or address."""
    forwarding = Forwarding(desk=app.desk, signer=app.signer, operators=app.config.operators, accounts=app.config.accounts)
    viewer = app.viewer(asker)
    prepared = forwarding.forward(viewer, mail_id, to, who=app.who, mode="inline" if inline else None, again=again)
    return _done(app, prepared, explain=explain, as_json=as_json)


def _writer(app: App) -> Writer:
    return Writer(desk=app.desk, signer=app.signer, operators=app.config.operators, accounts=app.config.accounts)


# --- what is read -----------------------------------------------------------------------------------------------------


def _new_mail(*, text: Path | None, html: Path | None, attach: Sequence[Path], sender: str | None, **asked: Any) -> NewMail:
    if text is None and html is None:
        raise click.UsageError("there is nothing to send: give --text FILE, --html FILE or both; --text - reads standard input")
    if text is not None and text == html == Path("-"):
        raise click.UsageError("standard input is read once: give a file for --text or for --html")
    return NewMail(
        text=_text(text) if text else "",
        html=_text(html) if html else "",
        attachments=tuple(map(_attached, attach)),
        sender=sender or "",
        **asked,
    )


def _text(path: Path) -> str:
    data = _typed() if path == Path("-") else _read(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = "standard input" if path == Path("-") else str(path)
        raise PermanentError(f"{what} is not UTF-8, at byte {error.start}", advice="Save it as UTF-8.") from None


def _typed() -> bytes:
    advice = "Give a file, or the text by a pipe."
    # None if it is closed.
    stream: TextIO | None = sys.stdin
    if stream is None:
        raise PermanentError("standard input is closed", advice=advice)
    try:
        return _bounded("standard input", stream.buffer.read(_LARGEST + 1))
    except OSError as error:
        raise PermanentError(f"standard input can't be read: {error.strerror or error}", advice=advice) from error


def _attached(path: Path) -> AttachedFile:
    kind, packed = mimetypes.guess_type(path.name, strict=False)
    # A packed file is sent as it is, so its type is not that of the unpacked file.
    return AttachedFile(name=path.name, type=kind if kind and not packed else "application/octet-stream", data=_read(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            # A pipe has no size.
            large = os.fstat(file.fileno()).st_size > _LARGEST
            data = b"" if large else file.read(_LARGEST + 1)
    except OSError as error:
        raise PermanentError(f"{path} can't be read: {error.strerror}", advice="Give a file that is there.") from error
    return _bounded(path, data, large=large)


def _bounded(what: object, data: bytes, *, large: bool = False) -> bytes:
    if large or len(data) > _LARGEST:
        raise PermanentError(f"{what} is larger than 1 GiB", advice="Send a link to it.")
    return data


# --- what is shown ----------------------------------------------------------------------------------------------------


def _done(app: App, prepared: PreparedMail, *, explain: bool, as_json: bool) -> int:
    """Show what would happen, or send it."""
    if explain:
        _explained(prepared, as_json=as_json)
        return 0 if prepared.allowed else 1
    sent = app.desk.send(prepared)
    if as_json:
        output.json_line({"mail": sent.mail_id, "deliveries": list(sent.delivery_ids), "notes": list(prepared.notes)})
        return 0
    for note in prepared.notes:
        output.note(f"Note: {note}")
    numbers = ", ".join(map(str, sent.delivery_ids))
    click.echo(f"Mail {sent.mail_id}: {'delivery' if len(sent.delivery_ids) == 1 else 'deliveries'} {numbers}.")
    output.note("The daemon delivers it; where none runs, `gatewayd outbox deliver` does.")
    who = "".join(f" --user {user}" for user in prepared.viewer.users)
    output.note(f"Follow it: gatewayd outbox list --mail {sent.mail_id} --operator {prepared.viewer.operator}{who}")
    return 0


def _explained(prepared: PreparedMail, *, as_json: bool) -> None:
    if as_json:
        output.json_line(_row(prepared))
        return
    hidden = _hidden(prepared)
    for one in prepared.planned:
        to = ", ".join(address for address in one.delivery.to if address not in hidden)
        by = f"account {one.delivery.account}" if one.delivery.account else f"target {one.delivery.target}"
        output.say(f"By:         {by} ({one.delivery.forwarder}), {one.delivery.mode}")
        if one.envelope:
            output.say(f"From:       {one.sender or 'as the original says'}; envelope: {one.envelope}")
        output.say(f"To:         {to}{f' (target {one.delivery.target})' if one.delivery.target else ''}")
    if hidden:
        output.say(f"Bcc:        {', '.join(hidden)}")
    if prepared.outgoing:
        output.say(f"Subject:    {prepared.outgoing.mail.subject}")
    click.echo(f"Size:       {prepared.size} bytes")
    for check in prepared.checks:
        word = "allowed" if check.allowed else "refused"
        output.say(f"Rule:       {check.rule} ({check.where}): {word}: {check.words}")
    for note in prepared.notes:
        output.say(f"Note:       {note}")
    click.echo("Nothing was sent." if prepared.allowed else "It would be refused. Nothing was sent.")


def _hidden(prepared: PreparedMail) -> Sequence[str]:
    """Return the recipients that are not named in the mail (Bcc)."""
    if prepared.outgoing is None:
        return ()
    mail = prepared.outgoing.mail
    named = {one.key for one in (*mail.to, *mail.cc)}
    return [address for one in prepared.planned for address in one.delivery.to if address.lower() not in named]


def _row(prepared: PreparedMail) -> dict[str, Json]:
    return {
        "deliveries": [
            {
                **target_fields(one.delivery),
                "from": one.sender or None,
                "envelope": one.envelope or None,
                "to": list(one.delivery.to),
            }
            for one in prepared.planned
        ],
        "subject": prepared.outgoing.mail.subject if prepared.outgoing else None,
        "size": prepared.size,
        "allowed": prepared.allowed,
        "rules": [{**output.fields(one, "account", "rule", "where", "allowed"), "because": one.words} for one in prepared.checks],
        "notes": list(prepared.notes),
    }


COMMANDS = (_send, _reply, _forward)
