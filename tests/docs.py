"""Write the docs that are generated from the code: ``python -m tests.docs``. A test compares them with the code."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.api import consent, credential, delivery, directory, events, forwarder, hookspecs, roles, session, store
from gatewayd.api.login_refusals import LOGIN_REFUSALS
from gatewayd.registry import loading
from gatewayd.registry.loading import OBSERVERS, ROLES
from gatewayd_google.refusals import OTHER, REFUSALS
from gatewayd_office365.consent_faults import CODE_FAULTS, DEVICE_FAULTS, REFRESH_FAULTS
from gatewayd_office365.graph_faults import GRAPH_FAULTS
from gatewayd_office365.token_faults import TOKEN_FAULTS
from tests import docs_configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import DataclassInstance

    from gatewayd_office365.token_faults import TokenFault

DOCS = Path(__file__).parent.parent / "docs"
KERNEL = Path(__file__).parent.parent / "gatewayd"
PLUGINS = Path(__file__).parent.parent / "plugins"
CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.md"
GOOGLE = DOCS / "google.md"
OFFICE365 = DOCS / "office365.md"
PEOPLE = DOCS / "people.md"
#: The kernel's rooms from the ground up: each imports only from those before it, for types as well.
ROOMS = [
    "errors",
    "message",
    "api",
    "runtime",
    "sealing",
    "registry",
    "config",
    "matching",
    "outgoing",
    "importing",
    "desk",
    "access",
    "rpc",
    "scheduler",
    "daemon",
    "cli",
]
_BEGIN = "<!-- Generated from the first sentences of the modules by `python -m tests.docs`. -->"
_REFUSALS = "<!-- Generated from gatewayd_google/refusals.py by `python -m tests.docs`. -->"
_TOKENS = "<!-- Generated from gatewayd_office365/token_faults.py by `python -m tests.docs`. -->"
_CONSENTS = "<!-- Generated from gatewayd_office365/consent_faults.py by `python -m tests.docs`. -->"
_GRAPH = "<!-- Generated from gatewayd_office365/graph_faults.py by `python -m tests.docs`. -->"
_LOGINS = "<!-- Generated from gatewayd/api/login_refusals.py by `python -m tests.docs`. -->"
_END = "<!-- The end of what is generated. -->"
_HEAD = "<!-- Generated from the code by `python -m tests.docs`; change the docstrings instead. -->"


def hooks() -> str:
    """Return the text of docs/hooks.md."""
    return "\n".join(_hooks()) + "\n"


def _hooks() -> Iterator[str]:
    yield from (_HEAD, "", "# Hooks and roles", "", inspect.getdoc(hookspecs) or "", "", "## Hooks", "")
    for hooked in (*ROLES, *OBSERVERS):
        name = f"gatewayd_{hooked}"
        hook = getattr(hookspecs, name)
        yield from (f"### `{name}{_signature(hook)}`", "", _doc(hook), "")
    yield from ("## Events", "", inspect.getdoc(events) or "", "")
    for event in (events.MailFiled, events.MailFailed, events.DeliverySettled, events.AccountChanged, events.ConfigLoaded):
        yield from _value(event)
    yield from ("## Roles", "", inspect.getdoc(roles) or "", "")
    for role_class in (roles.Transport, session.Session, session.Watch, roles.Directory, roles.Matcher, roles.Command):
        yield from _role(role_class)
    yield from _value(directory.Contents)
    yield from _role(forwarder.Forwarder)
    yield from _role(forwarder.Courier)
    for value in (forwarder.Parcel, forwarder.Receipt, delivery.Recipient):
        yield from _value(value)
    yield from _role(credential.Credential)
    yield from _role(consent.Consent)
    for given in (credential.Token, consent.ConsentRequest, consent.Grant, consent.DeviceCode):
        yield from _value(given)
    yield from ("## The store", "", inspect.getdoc(store) or "", "")
    yield from _role(store.Store)
    for group in store.Store.__bases__[1:]:
        yield from _role(group)


def _value(value: type[DataclassInstance]) -> Iterator[str]:
    yield from (f"### `{value.__name__}`", "", _doc(value), "")
    for field in fields(value):
        yield f"- `{field.name}: {field.type}`"
    yield ""


def _doc(thing: type | Callable[..., object]) -> str:
    """Return a docstring without the margin of its source.

    ``inspect.getdoc``, and from Python 3.13 on the compiler, would take an example's indent for the margin.
    """
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(thing))).body
    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
    lines = (ast.get_docstring(node, clean=False) or "").splitlines()
    return "\n".join(line.removeprefix("    ") if number else line for number, line in enumerate(lines)).rstrip()


def _signature(function: Callable[..., object]) -> str:
    # A function as a default would be shown with its address.
    return re.sub(r"<function \S+ at \w+>", "...", str(inspect.signature(function)).replace("'", ""))


def _role(role: type) -> Iterator[str]:
    yield from (f"### `{role.__name__}`", "", _doc(role), "")
    for name, member in vars(role).items():
        if inspect.isfunction(member) and member.__doc__ and (not name.startswith("_") or name == "__init__"):
            yield from (f"#### `{name}{_signature(member)}`", "", _doc(member), "")
        elif isinstance(member, property) and member.fget and member.__doc__:
            told = inspect.signature(member.fget).return_annotation
            yield from (f"#### `{name}: {told}`", "", _doc(member.fget), "")


def rooms() -> str:
    """Return the part of CONTRIBUTING.md that names every file of the kernel and of its own plugins, room by room."""
    return "\n".join(_rooms()) + "\n"


def _rooms() -> Iterator[str]:
    for room in ROOMS:
        if (file := KERNEL / f"{room}.py").exists():
            yield from (f"**`{room}.py`**: {_first_sentence(file)}", "")
            continue
        yield from _room(KERNEL / room, f"{room}/")
    for folder in sorted(PLUGINS.glob("gatewayd_*")):
        yield from _room(folder, f"plugins/{folder.name}/")


def _room(folder: Path, name: str) -> Iterator[str]:
    yield from (f"**`{name}`**: {_first_sentence(folder / '__init__.py')}", "", "| | |", "|---|---|")
    for path in sorted(folder.rglob("*.py")):
        inner = path.relative_to(folder)
        if "migrations" in inner.parts:
            continue
        if inner.name != "__init__.py":
            yield f"| `{inner}` | {_first_sentence(path)} |"
        elif inner.parent.parts:
            yield f"| `{inner.parent}/` | {_first_sentence(path)} |"
    yield ""


def _first_sentence(path: Path) -> str:
    said = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
    return re.split(r"(?<=[a-z)`])\.(?:\s|$)", said)[0].replace("``", "`")


def refusals() -> str:
    """Return the table of docs/google.md: what Google refuses, and what to do about it."""
    names = {name: name.upper() for name in ("user", "account", "client", "scope")}
    rows = ["| code | with | what is wrong | what to do |", "|---|---|---|---|"]
    for one in (*REFUSALS, OTHER):
        codes = ", ".join(f"`{code}`" for code in one.codes)
        words = f"; among the words {' or '.join(f'“{word}”' for word in one.words)}" if one.words else ""
        rows.append(
            f"| {codes}{words} | {', '.join(one.ways) or 'all'} | {one.says.format(**names)} | {one.advice.format(**names)} |"
        )
    return "\n".join(rows) + "\n"


def with_rooms(text: str) -> str:
    """Return CONTRIBUTING.md with the names of all files as they are now."""
    return _with(text, _BEGIN, rooms())


def with_refusals(text: str) -> str:
    """Return docs/google.md with the table as it is now."""
    return _with(text, _REFUSALS, f"{refusals()}\n")


def token_faults() -> str:
    """Return the first table of docs/office365.md: what Microsoft's log-in service refuses, and what to do about it."""
    return _faults(TOKEN_FAULTS)


def consent_faults() -> str:
    """Return its second table: the same where a person consents."""
    own = dict.fromkeys(one for one in (*REFRESH_FAULTS, *CODE_FAULTS, *DEVICE_FAULTS) if one not in TOKEN_FAULTS)
    return _faults(own)


def _faults(faults: Iterable[TokenFault]) -> str:
    rows = ["| code | what is wrong | what to do |", "|---|---|---|"]
    rows += [f"| {', '.join(f'`AADSTS{code}`' for code in one.codes)} | {one.what} | {one.advice} |" for one in faults]
    return "\n".join(rows) + "\n"


def graph_faults() -> str:
    """Return the third table of docs/office365.md: what Microsoft Graph refuses, and what to do about it."""
    rows = ["| code | HTTP | what is wrong | what to do |", "|---|---|---|---|"]
    for one in GRAPH_FAULTS:
        codes = ", ".join(f"`{code}`" for code in one.codes)
        rows.append(f"| {codes} | {', '.join(map(str, one.statuses))} | {one.what} | {one.advice} |")
    return "\n".join(rows) + "\n"


def with_faults(text: str) -> str:
    """Return docs/office365.md with its tables as they are now."""
    text = _with(_with(text, _TOKENS, f"{token_faults()}\n"), _CONSENTS, f"{consent_faults()}\n")
    return _with(text, _GRAPH, f"{graph_faults()}\n")


def login_refusals() -> str:
    """Return the table of docs/people.md: what servers say when they refuse a log-in, and what to do about it."""
    rows = ["| who | says | by | what is wrong | what to do |", "|---|---|---|---|---|"]
    for one in LOGIN_REFUSALS:
        words, by = ", ".join(f"`{word}`" for word in one.words), ", ".join(one.protocols)
        rows.append(f"| {one.who} | {words} | {by} | {one.says} | {one.advice} |")
    return "\n".join(rows) + "\n"


def with_login_refusals(text: str) -> str:
    """Return docs/people.md with the table as it is now."""
    return _with(text, _LOGINS, f"{login_refusals()}\n")


def _with(text: str, begin: str, generated: str) -> str:
    head, begin, rest = text.partition(begin)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}\n\n{generated}{end}{tail}"


def main() -> int:
    """Write every generated page."""
    (DOCS / "hooks.md").write_text(hooks())
    CONTRIBUTING.write_text(with_rooms(CONTRIBUTING.read_text()))
    GOOGLE.write_text(with_refusals(GOOGLE.read_text()))
    OFFICE365.write_text(with_faults(OFFICE365.read_text()))
    PEOPLE.write_text(with_login_refusals(PEOPLE.read_text()))
    docs_configuration.PAGE.write_text(docs_configuration.text(loading.load()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
