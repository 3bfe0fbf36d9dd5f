"""List the files of the config folder, and read them as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.regular_files import read_regular
from gatewayd.config.models.fields import NAME
from gatewayd.errors import Fault

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Mark", "Unreadable", "content", "is_folder", "names", "text"]

#: Line and column, counted from 1.
Mark: TypeAlias = tuple[int, int]

_MAX_BYTES = 1 << 20
#: Characters that look like a blank, or like nothing, in the indentation of a line or in its key.
_ODD = "\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2064\u3000\ufeff"
_UNSEEN = re.compile(
    f"^(?:[ \t-]*+|(?=[^#:\"'\n]*+:(?:[ \t\r\n]|\\Z))[^#:\"'\n{_ODD}]*+|[^#:\"'\n]*+:)(?P<odd>[{_ODD}])", re.MULTILINE
)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Endings of files that editors and ``gatewayd install`` leave beside the real ones.
_LEFT = ("~", ".new", ".sample")


#: Endings that people give to files that are to be ignored.
_ASIDE = (".bak", ".backup", ".copy", ".disabled", ".off", ".old", ".orig", ".save")
#: A full disk or a loss of power can leave an empty file. It would be sound, and take back all settings.
_EMPTY = "it is empty: was it cut short when it was saved? Expected keys and values, or {} if it has none"
_NAMES = "a file name that is not expected here, expected one such as sales.yaml (a-z, 0-9, - _ . and then .yaml)"


class Unreadable(Exception):
    """The file, or the rest of it, can't be used. The arguments are the faults."""


def is_folder(path: Path) -> bool:
    """Whether there is such a folder, as far as it may be seen."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        # Not allowed to look, too long a name, a NUL in it.
        return False


def names(folder: Path) -> tuple[list[str], list[Fault]]:
    """Return a folder's YAML files by name, and the faults of other names; files that editors leave behind are ignored.

    Raises Unreadable where the folder can't be listed. A missing one is empty.
    """
    try:
        found = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise Unreadable(Fault(file=folder.name, what=f"can't be read: {error.strerror}")) from None
    # Hidden files, backups and lock files of editors are not meant.
    meant = [name for name in found if not (name.startswith(".") or name.endswith(_LEFT) or (name[0] == name[-1] == "#"))]
    sound = [name for name in meant if name.endswith(".yaml") and NAME.fullmatch(name.removesuffix(".yaml"))]
    faults = [Fault(file=f"{folder.name}/{name}", what=_unexpected(folder.name, name)) for name in meant if name not in sound]
    return [f"{folder.name}/{name}" for name in sound], faults


def _unexpected(folder: str, name: str) -> str:
    """Return the fault of a file's name, with the name that was probably meant."""
    stem, yaml, _ = name.lower().replace(" ", "-").partition(".yaml")
    slip = f"{stem.removesuffix('.yml')}.yaml"
    if name.lower().endswith((".yaml", ".yml")) and NAME.fullmatch(slip.removesuffix(".yaml")):
        return f"{_NAMES}; did you mean {slip}?"
    if (yaml and not name.lower().endswith(".yaml")) or stem.endswith(_ASIDE):
        off = "; an account that is not to be imported says `enabled: false` in its `import`" if folder == "accounts" else ""
        return f"{_NAMES}. What is to be left alone belongs into another folder, or its name ends in {', '.join(_LEFT)}{off}"
    return _NAMES


def content(file: str, path: Path) -> bytes:
    """Return the bytes of a file that is called ``file``; raises Unreadable."""
    try:
        if not path.is_file():
            raise Unreadable(Fault(file=file, what="expected a file that can be read"))
        raw = read_regular(path, _MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(Fault(file=file, what=f"can't be read: {error.strerror}")) from None
    if len(raw) > _MAX_BYTES:
        raise Unreadable(Fault(file=file, what="too large, expected at most 1 MiB"))
    return raw


def text(file: str, raw: bytes, *, accepted: bool = False) -> str:
    """Return the text of a file that is called ``file``; raises Unreadable.

    One that was ``accepted`` may hold nothing, as earlier releases let it: what ran keeps running when gatewayd is upgraded.
    """
    if not (raw.strip() or accepted):
        raise Unreadable(Fault(file=file, what=_EMPTY))
    try:
        found = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _mark(raw[: error.start].decode("utf-8", "replace"))
        raise Unreadable(Fault(file=file, line=line, column=column, what="a byte that is no UTF-8, expected UTF-8 text")) from None
    bad = _UNPRINTABLE.search(found)
    if bad:
        line, column = _mark(found[: bad.start()])
        what = f"the character U+{ord(bad[0]):04X}, expected text without control characters"
        raise Unreadable(Fault(file=file, line=line, column=column, what=what))
    unseen = None if found.isascii() else _UNSEEN.search(found)
    if unseen:
        # Copied from a web page, an invisible character makes another key of one, or breaks the indentation.
        line, column = _mark(found[: unseen.start("odd")])
        what = f"the character U+{ord(unseen['odd']):04X}, which can't be seen, expected keys and indentation without it"
        raise Unreadable(Fault(file=file, line=line, column=column, what=what))
    return found


def _mark(before: str) -> Mark:
    return before.count("\n") + 1, len(before) - before.rfind("\n")
