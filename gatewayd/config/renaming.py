"""Rename an account, operator or user in the files of the config: its own file, and every place that names it.

Files are changed where the name stands, so that comments and all else stay as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd.config.files import Unreadable, content, names
from gatewayd.config.main import FILE
from gatewayd.config.models.fields import NAME
from gatewayd.config.scalars import written
from gatewayd.config.yaml_documents import read
from gatewayd.errors import ConfigError, PermanentError
from gatewayd.runtime.atomic_files import sync, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.api.renames import Named, Rename
    from gatewayd.api.store import Store
    from gatewayd.config.values import Config
    from gatewayd.config.yaml_documents import Document, YamlPath

__all__ = ["FileChanges", "file_changes", "free_names", "is_due"]

#: Where accounts and operators are named, by the folder of the file ("" for ``gatewayd.yaml``); ``*`` is any key or index.
_PLACES: dict[tuple[str, Named], tuple[YamlPath, ...]] = {
    ("", "account"): (("notify", "through"),),
    ("operators", "account"): (
        ("targets", "*", "account"),
        ("forward", "*", "when", "account"),
        ("forward", "*", "when", "account", "*"),
    ),
    ("accounts", "operator"): (("operators", "*"),),
}
#: Where users are named, as ``operator/user``.
_USERS: tuple[YamlPath, ...] = (("user",), ("share", "*"))
_FOLDERS: dict[Named, str] = {"account": "accounts", "operator": "operators"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanges:
    """What becomes of the files. Done twice it does no harm."""

    folder: Path
    #: Files that get other contents, relative to the folder.
    texts: tuple[tuple[str, bytes], ...]
    #: The file that gets another name, as old and new; None where that was done, or a user is renamed.
    moved: tuple[str, str] | None
    #: The files have the old name.
    old_is_there: bool

    def write(self) -> Iterator[str]:
        """Write each file whole, references before the file that they name, and yield what was done. Raises PermanentError.

        Until the last step, files that are changed already name something that is not there: a daemon keeps them as they were.
        """
        try:
            for file, raw in self.texts:
                path = self.folder / file
                was = path.stat()
                write_file(path, raw, mode=was.st_mode & 0o777, owner=(was.st_uid, was.st_gid) if os.geteuid() == 0 else None)
                yield f"changed  {path}"
            if self.moved:
                old, new = (self.folder / file for file in self.moved)
                old.rename(new)
                sync(new.parent)
                yield f"renamed  {old} to {new}"
        except OSError as error:
            advice = f"Run this as a user who may write to {self.folder}; what is done already stays, and the next run goes on."
            raise PermanentError(f"{error.filename or self.folder}: {error.strerror}", advice=advice) from error


def file_changes(folder: Path, kind: Named, old: str, new: str) -> FileChanges:
    """Return what a rename changes in the files; names of users are ``operator/user``. Changes nothing.

    Raises PermanentError for a word that is no name, for one that something else has, and where there is nothing of either name;
    ConfigError for a file that can't be read.
    """
    for name in (old, new):
        _prove(kind, name)
    moved = _moved_user(folder, old, new) if kind == "user" else _moved(folder, kind, old, new)
    return FileChanges(
        folder=folder,
        texts=tuple(_texts(folder, kind, old, new)),
        moved=None if kind == "user" else moved,
        old_is_there=moved is not None,
    )


def _prove(kind: Named, name: str) -> None:
    if not all(NAME.fullmatch(word) for word in (name.split("/") if kind == "user" else [name])):
        advice = "Expected a name such as sales: a-z, 0-9, - _ . and at most 64 characters."
        raise PermanentError(f"no {kind} can be called {name!r}", advice=advice)


def _moved_user(folder: Path, old: str, new: str) -> tuple[str, str] | None:
    """Return both names if the operator's file has the old one, None if it has the new one."""
    operator, _, was = old.partition("/")
    file, is_ = f"operators/{operator}.yaml", new.partition("/")[2]
    if not os.path.lexists(folder / file):
        raise PermanentError(f"there is no {file}", advice="Name the user as OPERATOR/USER, such as acme/irina.")
    users = read(file, folder=folder).keys
    there = [("users", user) in users for user in (was, is_)]
    if all(there):
        raise PermanentError(f"{operator} has a user {is_} already", advice="Choose a name that no user of it has.")
    if not any(there):
        raise PermanentError(f"{file} has no user {was}, and no {is_} either", advice="Name a user that it has.")
    return (was, is_) if there[0] else None


def _moved(folder: Path, kind: Named, old: str, new: str) -> tuple[str, str] | None:
    was, is_ = (f"{_FOLDERS[kind]}/{name}.yaml" for name in (old, new))
    there = os.path.lexists(folder / was), os.path.lexists(folder / is_)
    if all(there):
        raise PermanentError(f"there is a file {is_} already", advice=f"Choose a name that no {kind} has.")
    if not any(there):
        raise PermanentError(f"there is no {was}, and no {is_} either", advice="Name one that has a file.")
    return (was, is_) if there[0] else None


def _texts(folder: Path, kind: Named, old: str, new: str) -> Iterator[tuple[str, bytes]]:
    for file in [FILE, *_files(folder, "operators"), *_files(folder, "accounts")]:
        document = read(file, folder=folder)
        if document.faults:
            raise ConfigError(f"{file} can't be read, and may name {old}", faults=document.faults)
        places = [*_named(document, kind, old)]
        if places:
            yield file, _edited(folder, document, places, new)


def _files(folder: Path, group: str) -> list[str]:
    try:
        return names(folder / group)[0]
    except Unreadable as error:
        raise ConfigError(f"{group} can't be listed", faults=[one for one in error.args if one]) from None


def _named(document: Document, kind: Named, old: str) -> Iterator[tuple[YamlPath, str, str]]:
    """Yield each place that has the name, with the text that stands there, and what of it is the old name's."""
    group = document.file.rpartition("/")[0]
    operator, _, user = old.partition("/")
    for place in document.values:
        value = _at(document, place)
        if any(_fits(place, pattern) for pattern in _PLACES.get((group, kind), ())) and value == old:
            yield place, old, old
        of_user = group == "accounts" and any(_fits(place, pattern) for pattern in _USERS) and isinstance(value, str)
        if of_user and kind == "user" and value == old:
            yield place, old, old
        if of_user and kind == "operator" and str(value).partition("/")[0] == old:
            yield place, str(value), old
    if kind == "user" and document.file == f"operators/{operator}.yaml" and ("users", user) in document.keys:
        yield ("users", user), user, user


def _fits(place: YamlPath, pattern: YamlPath) -> bool:
    return len(place) == len(pattern) and all(word in ("*", key) for key, word in zip(place, pattern, strict=True))


def _at(document: Document, place: YamlPath) -> object:
    found: object = document.data
    for key in place:
        found = found[key] if isinstance(found, dict | list) else None  # type: ignore[index]
    return found


def _edited(folder: Path, document: Document, places: list[tuple[YamlPath, str, str]], new: str) -> bytes:
    """Return the file with the new name in all these places; raises ConfigError where it is written in an odd way."""
    raw = content(document.file, folder / document.file)
    lines = raw.decode("utf-8-sig").split("\n")
    # From the end, so that the places before stay where they are.
    for place, text, old in sorted(places, key=lambda one: _mark(document, one[0]), reverse=True):
        line, column = _mark(document, place)
        before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        quote = after[0] if after[0] in "'\"" else ""
        if not after.startswith(f"{quote}{text}{quote}"):
            what = f"expected {text} in plain words or quotes, to change it to {new}"
            raise ConfigError(f"{document.file} can't be changed", faults=[document.fault(place, what)])
        is_ = text.replace(old, new.rpartition("/")[2] if place[0] == "users" else new, 1)
        lines[line - 1] = before + (f"{quote}{is_}{quote}" if quote else written(is_)) + after[len(text) + 2 * len(quote) :]
    mark = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    return mark + "\n".join(lines).encode()


def _mark(document: Document, place: YamlPath) -> tuple[int, int]:
    return document.keys[place] if place[0] == "users" else document.values[place]


# --- how far the files are --------------------------------------------------------------------------------------------


def is_due(config: Config, rename: Rename) -> bool:
    """Whether the files of a rename are done, so that the store may be."""
    return _has(config, rename.kind, rename.new) is True and _has(config, rename.kind, rename.old) is False


def free_names(config: Config, store: Store) -> None:
    """Let names that were given up be used again where this config has both names, or neither: it was read since."""
    for one in store.renames():
        old = _has(config, one.kind, one.old)
        if one.done_at is not None and old is not None and old == _has(config, one.kind, one.new):
            store.free_name(one.kind, one.old)


def _has(config: Config, kind: Named, name: str) -> bool | None:
    """Whether a config has something of this name, sound or faulty; None where that can't be known."""
    if kind != "user":
        return f"{_FOLDERS[kind]}/{name}.yaml" in config.digests
    operator = config.operators.get(name.partition("/")[0])
    if operator is None or operator.faulty:
        return False if operator is None else None
    return name.partition("/")[2] in operator.users
