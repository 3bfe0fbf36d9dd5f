"""Read one YAML file into plain values, with the line and column of each.

Scalars follow the core schema of YAML 1.2 (section 10.3). Scalars that YAML 1.1 reads differently (``no``, ``22:30``, ``012``)
are faults, and so is all that a config is better off without: duplicate keys, aliases, merge keys, further documents, unknown tags.
No fault ever shows a value: it may be a secret in the wrong place.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import yaml

from gatewayd.api.options import Secret
from gatewayd.config.files import Mark, Unreadable, content, text
from gatewayd.config.scalars import plain, quoted_by_hand, surprise
from gatewayd.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yaml._yaml import Mark as CMark

__all__ = ["Document", "YamlPath", "read"]

#: The keys and indexes that lead to a value.
YamlPath: TypeAlias = tuple[str | int, ...]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 20
#: libyaml's messages, in words that help.
_SYNTAX = {
    "mapping values are not allowed in this context": "a ':' that is not expected here: check the indentation, or use quotes",
    "could not find expected ':'": "a line without 'key: value'",
    "did not find expected key": "expected a key here: check the indentation",
    "did not find expected '-' indicator": "expected '- ' here: check the indentation",
    "did not find expected <document start>": "expected the file's end here: check the indentation",
    "did not find expected ',' or ']'": "a list that is not closed, expected ',' or ']'",
    "did not find expected ',' or '}'": "a mapping that is not closed, expected ',' or '}'",
    "did not find expected node content": "expected a value here, or an opened bracket to be closed before",
    "found unexpected end of stream": "the file ends in the middle of a quoted text",
    "found undefined tag handle": "an unknown tag, expected !env, !file or !credential",
    "found character that cannot start any token": "a value can't begin with this character, expected it in quotes",
    "found unknown escape character": "an unknown escape after a backslash, expected text in single quotes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The values of one file, and their places in it."""

    #: The file, relative to the config folder.
    file: str
    #: The keys and values of the file; empty where it can't be read at all.
    data: dict[str, object] = field(default_factory=dict, repr=False)
    #: Line and column of each value, and of each key of a mapping.
    values: dict[YamlPath, Mark] = field(default_factory=dict, repr=False)
    keys: dict[YamlPath, Mark] = field(default_factory=dict, repr=False)
    #: The faults of the file as YAML.
    faults: tuple[Fault, ...] = ()
    #: Places for which a fault was reported already: the value there means nothing.
    faulty: frozenset[YamlPath] = frozenset()
    #: Every reference to a secret.
    secrets: tuple[tuple[Mark, Secret], ...] = ()
    #: SHA-256 of the file's bytes; empty where they can't be read.
    digest: str = ""

    def fault(self, place: YamlPath, what: str, *, key: bool = False) -> Fault:
        """Return a fault at ``place``, or at the nearest place around it that the file has; at its key if ``key``."""
        marks = self.keys if key and place in self.keys else self.values
        while place and place not in marks:
            place = place[:-1]
        line, column = marks.get(place, (1, 1))
        return Fault(file=self.file, line=line, column=column, what=what)

    def where(self, place: YamlPath) -> str:
        """Return the file and line of ``place``, or of the place around it: ``accounts/out.yaml:5``."""
        while place not in self.values:
            place = place[:-1]
        return f"{self.file}:{self.values[place][0]}"

    def spoilt(self, place: YamlPath) -> bool:
        """Whether a fault of the YAML itself covers ``place``, so that it is not checked further."""
        return any(place[:length] in self.faulty for length in range(len(place) + 1))

    def spoilt_within(self, place: YamlPath) -> bool:
        """Whether a fault of the YAML itself lies at or below ``place``, so that its value is incomplete."""
        return any(faulty[: len(place)] == place for faulty in self.faulty)


def read(file: str, *, folder: Path, copy: Path | None = None) -> Document:
    """Read a file of the config folder, or a copy of it. Never raises: all faults are in ``faults``.

    A copy is read in the file's place: relative paths count from the config folder.
    """
    reader = _Reader(file, folder)
    data: object = {}
    raw = None
    try:
        raw = content(file, copy or folder / file)
        data = reader.read(text(file, raw, accepted=copy is not None))
    except Unreadable as error:
        reader.faults += [fault for fault in error.args if fault]
        reader.faulty.add(())
        reader.secrets.clear()
    if not isinstance(data, dict):
        reader.fault((1, 1), f"expected keys and values, found {'a list' if isinstance(data, list) else 'a single value'}", ())
        data = {}
    return Document(
        file=file,
        data=data,
        values=reader.values,
        keys=reader.keys,
        faults=tuple(reader.faults),
        faulty=frozenset(reader.faulty),
        secrets=tuple(reader.secrets),
        digest=hashlib.sha256(raw).hexdigest() if raw is not None else "",
    )


class _Reader:
    """Walks the events of one file."""

    def __init__(self, file: str, folder: Path) -> None:
        self.file = file
        self.folder = folder
        self.values: dict[YamlPath, Mark] = {}
        self.keys: dict[YamlPath, Mark] = {}
        self.faults: list[Fault] = []
        self.faulty: set[YamlPath] = set()
        self.secrets: list[tuple[Mark, Secret]] = []
        self.events: Iterator[yaml.Event] = iter(())

    def fault(self, mark: Mark, what: str, place: YamlPath) -> None:
        self.faults.append(Fault(file=self.file, line=mark[0], column=mark[1], what=what))
        self.faulty.add(place)

    def read(self, text: str) -> object:
        """Return the plain value of the file's one document; one of comments alone is an empty mapping."""
        self.events = yaml.parse(text, Loader=_LOADER)
        try:
            next(self.events)
            start = next(self.events)
            if isinstance(start, yaml.StreamEndEvent):
                return {}
            value = self.value(next(self.events), ())
            next(self.events)
            further = next(self.events)
            if not isinstance(further, yaml.StreamEndEvent):
                self.fault(_at(further.start_mark), "a second document, expected one in a file", ())
        except yaml.YAMLError as error:
            raise Unreadable(self.syntax(error, text)) from None
        return {} if value is None else value

    def syntax(self, error: yaml.YAMLError, text: str) -> Fault:
        line, column = _at(getattr(error, "problem_mark", None))
        problem = str(getattr(error, "problem", None) or "unreadable")
        lines = text.split("\n")
        here = lines[line - 1] if 0 < line <= len(lines) else ""
        tab = "\t" in here[: len(here) - len(here.lstrip())]
        what = "a tab in the indentation, expected spaces" if tab else _SYNTAX.get(problem, f"no YAML: {problem}")
        begun = _at(getattr(error, "context_mark", None))[0]
        what += f" (it began in line {begun})" if 0 < begun < line else ""
        return Fault(file=self.file, line=line, column=column, what=what)

    def value(self, event: yaml.Event, place: YamlPath) -> object:
        mark = _at(event.start_mark)
        self.values[place] = mark
        if len(place) > _MAX_DEPTH:
            self.fault(mark, f"more than {_MAX_DEPTH} levels deep", place)
            raise Unreadable
        if isinstance(event, yaml.AliasEvent):
            self.fault(mark, "an alias, expected the value itself: aliases are not allowed", place)
            return None
        if getattr(event, "anchor", None):
            self.fault(mark, "an anchor, expected the value alone: anchors are not allowed", place)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, place)
        if getattr(event, "tag", None):
            self.fault(mark, "an unknown tag, expected !env, !file or !credential before a name", place)
        return self.sequence(place) if isinstance(event, yaml.SequenceStartEvent) else self.mapping(place)

    def sequence(self, place: YamlPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, (*place, len(items))))
        return items

    def mapping(self, place: YamlPath) -> dict[str, object]:
        found: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, place, found)
            if key is None:
                self.value(next(self.events), (*place, _FAULTY_KEY))
            else:
                self.keys[*place, key] = _at(event.start_mark)
                found[key] = self.value(next(self.events), (*place, key))
        return found

    def key(self, event: yaml.Event, place: YamlPath, taken: dict[str, object]) -> str | None:
        """Return a key of a mapping, None where there is a fault that makes key and value meaningless."""
        mark = _at(event.start_mark)
        here = (*place, _FAULTY_KEY)
        if not isinstance(event, yaml.ScalarEvent):
            self.value(event, here)
            self.fault(mark, "a list or mapping as a key, expected a word", here)
            return None
        if event.tag or event.anchor:
            self.fault(mark, "a tag or anchor at a key, expected a word", here)
            return None
        key = str(event.value)
        unquoted = event.style in (None, "")
        what = ""
        if unquoted and key == "<<":
            what = "a merge key, expected the keys themselves: merge keys are not allowed"
        elif unquoted and (surprise(key) or not isinstance(plain(key), str)):
            what = f"the key {key!r} is no text for every YAML reader, expected it in quotes"
        elif key in taken:
            what = f"the key {key!r} is here twice, first in line {self.keys[*place, key][0]}"
        if what:
            self.fault(mark, what, here)
            return None
        return key

    def scalar(self, event: yaml.ScalarEvent, place: YamlPath) -> object:
        mark = _at(event.start_mark)
        text = str(event.value)
        bare = event.style in (None, "")
        if bare and (odd := quoted_by_hand(text)):
            self.fault(mark, odd, place)
            return text
        if event.tag:
            return self.secret(event.tag, text, mark, place)
        if not bare:
            return text
        odd = surprise(text)
        if odd:
            self.fault(mark, odd, place)
            return text
        value = plain(text)
        if value is None and place:
            self.fault(mark, "the value is missing, expected one, or no key at all", place)
        return value

    def secret(self, tag: str, name: str, mark: Mark, place: YamlPath) -> Secret | None:
        by = next((by for by in get_args(_By) if tag == f"!{by}"), None)
        if by is None:
            self.fault(mark, "an unknown tag, expected !env, !file or !credential", place)
            return None
        if not _NAMES[by].fullmatch(name):
            self.fault(mark, f"!{by} expects {_EXPECTED[by]} behind it, and never the secret itself", place)
            return None
        beside = self.folder / "credentials" if by == "credential" else None
        secret = Secret(by, str(self.folder / name) if by == "file" else name, beside=beside)
        self.secrets.append((mark, secret))
        return secret


_By: TypeAlias = Literal["env", "file", "credential"]
_NAMES = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}"),
    "file": re.compile(r"(?!~)[^\0\n]{1,4000}"),
    "credential": re.compile(r"(?!\.{1,2}$)[ -.0-9;-~]{1,200}"),
}
_EXPECTED = {"env": "the name of an environment variable", "file": "a path (without ~)", "credential": "the name of a credential"}
#: Stands in a place where a key was faulty. No YAML key can equal it.
_FAULTY_KEY = -1


def _at(mark: yaml.Mark | CMark | None) -> Mark:
    # YAML counts from 0.
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
