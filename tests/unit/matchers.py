"""Plugins in a file that do what no plugin should: for tests with real worker processes, which import code by file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Folders, Matcher, Operator
from gatewayd.api.roles import Directory
from gatewayd.matching import MatchRequest, OperatorSpec, RawMail
from gatewayd.message.mail import BytesSource
from gatewayd.registry.loading import load

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd import FilingFault, Source
    from gatewayd.matching import OperatorResult
    from gatewayd.registry.loading import Registry

#: A matcher of each kind does one wrong thing to a mail with ``guilty`` in its subject, and links all others.
WRONG = {
    "exits": "os._exit(3)",
    "exits-well": "os._exit(0)",
    "killed": "os.kill(os.getpid(), 9)",
    "crashes": "os.abort()",
    "leaves": "sys.exit('enough')",
    "interrupts": "raise KeyboardInterrupt",
    "regex": r"re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "sleeps": "time.sleep(1000)",
    "hoards": "hoard(self)",
    "allocates": "bytearray(1 << 40)",
    "unsendable": "return [Link(mail.id, Record(kind='product', id='1', label='x', fields=(('f', lambda: 0),)), 'why')]",
    "unreadable": "return [Link(mail.id, ROME, Bomb('why'))]",
    "endless": "return itertools.repeat(Link(mail.id, ROME, 'again'))",
}

_HEAD = """
import itertools, os, re, subprocess, sys, time
from pathlib import Path
from pydantic import Field
from gatewayd import CHUNK, Contents, Directory, Link, Matcher, Record, TransientError, hookimpl

ROME = Record(kind="product", id="1", label="x")
VERSION = {version!r}


def boom():
    raise ValueError("not here")


class Bomb(str):
    def __reduce__(self):
        return boom, ()


class Reading:
    def __init__(self, raw):
        self.raw, self.size = raw, len(raw)

    def read(self, offset, size):
        return self.raw[offset : offset + size]


def hoard(self):
    self.kept = []
    while True:
        self.kept.append(bytearray(CHUNK))


class Good(Matcher):
    '''Links every mail.'''

    kind = "good"

    class Options(Matcher.Options):
        note: str = Field("", description="Whatever.")

    def do(self, mail):
        return None

    def match(self, mails, directory):
        known = directory.find("product", "id", {{self.kind, "1"}})
        for mail in mails:
            found = self.do(mail) if "guilty" in mail.subject else None
            yield from found or [Link(mail.id, known[self.kind][0], f"{{self.kind}} {{VERSION}}")]


class Asks(Good):
    '''Asks the directory.'''

    kind = "asks"

    def match(self, mails, directory):
        found = directory.persons({{one.email for mail in mails for one in mail.from_}})
        for mail in mails:
            for record in found.get(mail.from_[0].email.lower(), ()):
                yield Link(mail.id, record, "its sender")


class Known(Directory):
    '''Knows everybody.'''

    kind = "known"

    class Options(Directory.Options):
        folder: str = Field("", description="Where files lie that it looks for.")

    def do(self, method):
        if Path(self.options.folder, f"down-{{method}}").exists():
            raise TransientError("the database is away")
        if Path(self.options.folder, f"hang-{{method}}").exists():
            time.sleep(1000)
        if Path(self.options.folder, f"exit-{{method}}").exists():
            os._exit(9)

    def refresh(self):
        self.do("refresh")
        return []

    def follow(self):
        self.do("follow")

    def contents(self):
        told = Path(self.options.folder, "contents")
        if not told.exists():
            return Contents()
        version, *outdated = told.read_text().split()
        return Contents(version=version, outdated=" ".join(outdated), folders=(Path(self.options.folder),))

    def changed(self, version):
        told = Path(self.options.folder, f"changed-{{version}}")
        return told.read_text().split() if told.exists() else None

    def find(self, kind, field, values):
        self.do("products")
        return {{value: (Record(kind=kind, id=value, label="x"),) for value in values}}

    def persons(self, emails):
        self.do("find")
        return {{email.lower(): (Record(kind="person", id=email, label=email),) for email in emails}}

    def contacts(self, emails):
        self.do("contacts")
        return {{}}

    def search(self, kind, text, *, limit=20):
        return ()


class Shelf(Known):
    '''Knows products, and nobody.'''

    kind = "shelf"

    def persons(self, emails):
        raise TransientError("nobody is known")
"""

_TAIL = """

@hookimpl
def gatewayd_matchers():
    return [{matchers}]


@hookimpl
def gatewayd_directories():
    return [Known, Shelf]
"""


def plugin(wrong: dict[str, str] | None = None, *, version: str = "1", more: str = "") -> str:
    """The text of a plugin file: ``good``, ``asks``, and a matcher for each kind in ``wrong`` with what it does."""
    parts, names = [_HEAD.format(version=version)], ["Good", "Asks"]
    for kind, does in (wrong or {}).items():
        name = "".join(word.title() for word in kind.split("-"))
        parts.append(f"\n\nclass {name}(Good):\n    kind = {kind!r}\n\n    def do(self, mail):\n        {does}\n")
        names.append(name)
    return "".join([*parts, more, _TAIL.format(matchers=", ".join(names))])


def registry(folder: Path, text: str | None = None, *, name: str = "wrong") -> Registry:
    """The plugins of a folder, with one file in it."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text or plugin(WRONG))
    found = load(folder)
    assert not [one.error for one in found.plugins if one.error and one.path]
    return found


def spec(registry: Registry, name: str, *matchers: str, folder: Path, known: bool = False) -> OperatorSpec:
    """An operator with these matchers; its directory does wrong what files in the folder say."""
    kind = "known" if known else "shelf"
    options = registry.get(Directory, kind).Options.model_validate({"folder": str(folder)} if known else {})
    return OperatorSpec(
        operator=Operator(name=name),
        directory=(kind, options),
        matchers=tuple((one, registry.get(Matcher, one).Options()) for one in matchers),
        place=Folders(config=folder, state=folder),
    )


def raw_mail(number: int, *, guilty: bool = False, source: Source | None = None) -> RawMail:
    """A letter; ``guilty`` is what matchers do wrong for."""
    subject = b"guilty" if guilty else b"fine"
    raw = b"From: anna@example.com\r\nSubject: %s %d\r\n\r\nText\r\n" % (subject, number)
    return RawMail(number, source or BytesSource(raw))


def raw_mails(count: int, *guilty: int) -> tuple[RawMail, ...]:
    """Letters from 1 on."""
    return tuple(raw_mail(number, guilty=number in guilty) for number in range(1, count + 1))


def match_request(raw_mails: tuple[RawMail, ...], *specs: OperatorSpec, admits: bool = False) -> MatchRequest:
    """An order of all of it; with ``admits`` the directory is asked for admission."""
    return MatchRequest(raw_mails=raw_mails, specs=specs, contact_types=(("customer", ("sales",)),) if admits else ())


def linked(found: OperatorResult, by: str) -> list[int]:
    """Ids of the mails that a matcher links."""
    return sorted(link.mail_id for kind, link in found.links if kind == by)


def faults(found: OperatorResult) -> dict[int, FilingFault]:
    """Faults by mail; each has one at most."""
    assert len(found.faults) == len({mail_id for mail_id, _ in found.faults}), found.faults
    return dict(found.faults)
