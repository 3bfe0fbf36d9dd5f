"""``directory``: search and reload an operator's directory; and the check of directories for ``check``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.cli.mail import KINDS
from gatewayd.cli.params import Asker, json_option
from gatewayd.config.faults import hint
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.directory import Contents
    from gatewayd.api.values import Kind
    from gatewayd.cli.app import App
    from gatewayd.matching import DirectoryCheck

__all__ = ["COMMANDS", "DirectoryFaults", "check_directories"]

#: If a directory takes longer than these seconds, the person is told.
_PATIENCE = 1.5
#: At most so many contact types are named.
_TYPES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryFaults:
    """Faults of one operator's directory and matchers."""

    #: How many of them can't be used.
    unusable: int
    #: The directory still answers from its previous files.
    outdated: bool


def check_directories(app: App) -> Sequence[DirectoryFaults]:
    """Report faults of the operators' directories and matchers, and contact types that no record has."""
    looks = {name: look(app, name) for name in app.specs}
    checked = [_checked(app, name, looked) for name, looked in looks.items()]
    for text in _unknown_contact_types(app, {name: looked.contents for name, looked in looks.items()}):
        output.note(f"warning: {text}")
    return checked


def look(app: App, name: str, *, accept: bool = False, patient: bool = False) -> DirectoryCheck:
    """Check an operator's directory; a person who waits long is told."""
    waiting = app.thread.submit(app.matching.look, app.specs[name], accept=accept, patient=patient)
    with suppress(TimeoutError):
        return waiting.result(_PATIENCE)
    output.note(f"gatewayd: waiting for the directory and matchers of {name} ...")
    return waiting.result()


def _checked(app: App, name: str, looked: DirectoryCheck) -> DirectoryFaults:
    unusable = [] if app.specs[name].faulty else [*looked.unbuilt]
    if looked.failed and "directory" not in dict(unusable) and not app.specs[name].faulty:
        unusable.append(("directory", "; ".join(looked.faults)))
    listed = {text for _, text in unusable}
    shown = [*unusable, *(("directory", text) for text in looked.faults if text not in listed)]
    for by, text in shown:
        output.say(f"operators/{name}.yaml: {text if text.startswith(by) else f'{by}: {text}'}")
    for text in looked.contents.warnings:
        output.note(f"warning: operators/{name}.yaml: directory: {text}")
    return DirectoryFaults(unusable=len(unusable), outdated=bool(looked.contents.outdated))


def _unknown_contact_types(app: App, held: Mapping[str, Contents]) -> Iterator[str]:
    """Yield faults of the contact types that accounts import: a type that no record has admits nobody."""
    for account in app.config.accounts.values():
        types = account.imports.contact_types if account.imports else {}
        wanted = [(kind, word) for kind, words in types.items() for word in words]
        # A directory need not tell which contact types it has.
        known = {name: held[name] for name in account.operators if name in held and held[name].contact_types is not None}
        for name, contents in known.items():
            have = {(kind, word.casefold()) for kind, word, _ in contents.contact_types or ()}
            for kind, word in [one for one in wanted if (one[0], one[1].casefold()) not in have]:
                yield f"accounts/{account.name}.yaml: import.contact_types.{kind}: {_nobody(name, kind, word, contents)}"


def _nobody(name: str, kind: Kind, word: str, contents: Contents) -> str:
    types = [(one, count) for of, one, count in contents.contact_types or () if of == kind]
    text = f"no EMAIL contact of a {kind} of {name} has the type {word!r}"
    if not types:
        return f"{text}, and none has any: no mail is admitted by it"
    shown = ", ".join(f"{one or 'none'} ({count:,})" for one, count in types[:_TYPES])
    rest = f", and {len(types) - _TYPES} more" if len(types) > _TYPES else ""
    slip = hint(word, [one for one, _ in types if one])
    return f"{text}{slip if 'did you mean' in slip else ''} There are: {shown}{rest}"


@click.group("directory")
def _directory() -> None:
    """Search and reload an operator's directory."""


@_directory.command("find")
@click.option("--operator", metavar="O", help="The operator; required if there are several.")
@click.argument("kind", type=KINDS)
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Show at most this many.")
@json_option
@click.pass_obj
def _find(app: App, kind: Kind, words: Sequence[str], operator: str | None, limit: int, *, as_json: bool) -> int:
    """Find records with all these words in id, code or name, whatever the case and accents. Exits 1 if there is none."""
    name = app.viewer(Asker(operator)).operator
    with standard_output_kept():
        found = app.desk.search(name, kind, " ".join(words), limit=limit + 1)
    listed = found[:limit]
    if as_json:
        for one in listed:
            output.json_line({**output.fields(one, "kind", "id", "label"), "fields": dict(one.fields)})
    output.table(("kind", "id", "label"), [] if as_json else [(one.kind, one.id, one.label) for one in listed])
    if len(found) > limit and not as_json:
        output.more(otherwise="more words")
    if not found:
        output.note(f"No {kind} of {name} has {'all these words' if len(words) > 1 else 'this word'} in id, code or name.")
    return 0 if found else 1


@_directory.command("load")
@click.option("--operator", metavar="O", help="The operator; without it, all operators.")
@click.option("--accept", is_flag=True, help="Load the files as they are, even if most rows are gone.")
@click.pass_obj
def _load(app: App, operator: str | None, *, accept: bool) -> int:
    """Load changed files of the directory now, and show their faults.

    A file that is missing, or has lost more than half of its rows, is only loaded with --accept.
    """
    app.only_files = True
    names = [app.viewer(Asker(operator)).operator] if operator else list(app.specs)
    looks = {name: look(app, name, accept=accept, patient=True) for name in names}
    faults = [(name, text) for name, looked in looks.items() for text in looked.faults]
    for name, text in faults:
        output.say(f"{name}: {text}")
    for name, looked in looks.items():
        for text in looked.contents.warnings:
            output.note(f"warning: {name}: {text}")
    output.note(f"{output.count(len(names), 'directory', 'directories')} loaded, {output.count(len(faults), 'fault')}.")
    return 1 if faults else 0


COMMANDS = (_directory,)
