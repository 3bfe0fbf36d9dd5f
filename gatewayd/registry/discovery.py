"""Find plugins: the entry points of installed distributions, and single files.

A single file is read once, and this content runs everywhere: here, in worker processes, and after a reload that finds the file
unchanged. Its module's name ends in its fingerprint, so that values of its former code can still be pickled while they are in
use. An installed distribution stays as it was imported until the process ends.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.api import hookspecs
from gatewayd.api.regular_files import read_regular
from gatewayd.runtime.traces import SINGLE, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["FoundPlugin", "PluginFile", "installed", "single", "singles"]

_NOW = count()
#: How many modules of one single file are kept importable: the present code and the former one.
_KEPT = 2
#: The largest size of a single file, in bytes.
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFile:
    """A single-file plugin as it was read."""

    #: The path where it was read, or where it belongs.
    path: Path
    code: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the code."""
        return hashlib.sha256(self.code).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPlugin:
    """A plugin that can be imported."""

    name: str
    #: The distribution with its version, or the file.
    source: str
    #: The module that an installed one names; empty for a single file.
    module: str = ""
    #: The single file, as it was read; None for an installed one, and for a file that can't be read.
    file: PluginFile | None = None
    path: Path | None = None
    #: Whether it is gatewayd's own.
    own: bool = False
    #: Why its file can't be read; empty if it can.
    error: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over its source."""
        return self.file.fingerprint if self.file else _of_package(self.module, self.source)

    @property
    def names(self) -> frozenset[str]:
        """The names by which it can be left out: its own, its file's, its distribution's."""
        return frozenset({self.name, self.path.name if self.path else self.source.rpartition(" ")[0]})

    @property
    def is_imported(self) -> bool:
        """Whether exactly this code is imported in this process already."""
        if self.file is not None:
            loader = _loader(sys.modules.get(_module(self.file)))
            return loader is not None and loader.file == self.file
        return self.module.partition(":")[0].strip() in sys.modules

    def load(self) -> object:
        """Import it, and return the module or object that has its hooks. Raises whatever the plugin raises."""
        if self.file is not None:
            return _import_file(self.file)
        # An entry point may name an attribute of a module, after a colon.
        return EntryPoint(self.name, self.module, hookspecs.PROJECT).load()


def installed() -> Iterator[FoundPlugin]:
    """Yield the plugins of all distributions, gatewayd's own first, so that no other plugin takes their kinds."""
    points = entry_points(group=hookspecs.PROJECT)
    # A distribution parses all its metadata whenever it is asked for its name or version.
    known = {dist: (dist.name, f"{dist.name} {dist.version}") for dist in {point.dist for point in points} if dist}

    def own(point: EntryPoint) -> bool:
        return point.dist is not None and known[point.dist][0] == hookspecs.PROJECT

    for point in sorted(points, key=lambda point: (not own(point), point.name)):
        source = known[point.dist][1] if point.dist else point.value
        yield FoundPlugin(name=point.name, source=source, module=point.value, own=own(point))


def singles(folder: Path | None) -> Iterator[FoundPlugin]:
    """Yield the single-file plugins of a folder, by name."""
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.glob("*.py")):
        try:
            yield single(PluginFile(path=path, code=_read(path)))
        except OSError as error:
            yield FoundPlugin(name=path.stem, source=str(path), path=path, error=said(error))


def single(file: PluginFile) -> FoundPlugin:
    """Return the plugin of a single file that was read before."""
    return FoundPlugin(name=file.path.stem, source=str(file.path), path=file.path, file=file)


def _read(path: Path) -> bytes:
    """Return a file's content; raises OSError if it is no regular file, or too large."""
    code = read_regular(path, _LARGEST + 1)
    if len(code) > _LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {_LARGEST >> 20} MiB")
    return code


@cache
def _of_package(value: str, source: str) -> str:
    """Hash the source of the top package that a module belongs to, as it is at the first call; nothing is imported for this."""
    found = hashlib.sha256(f"{source} {value}".encode())
    for path in _files(value.partition(":")[0].strip()):
        found.update(path.name.encode() + b"\0")
        # For a file in an archive, or one that was deleted, the distribution's version in the hash must do.
        with suppress(OSError):
            found.update(path.read_bytes())
    return found.hexdigest()


def _files(module: str) -> list[Path]:
    parts = module.split(".")
    try:
        spec = importlib.util.find_spec(parts[0])
        for depth in range(2, len(parts) + 1):
            # A namespace package has no file of its own, and may be shared with others.
            if spec is None or spec.origin is not None:
                break
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:depth]), spec.submodule_search_locations)
    except (ImportError, ValueError):
        return []
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    if spec.submodule_search_locations is None:
        return [origin]
    try:
        return sorted(origin.parent.rglob("*.py"))
    except OSError:
        # A folder within the package can't be read.
        return [origin]


def _module(file: PluginFile) -> str:
    return f"{SINGLE}{re.sub(r'[^a-zA-Z0-9]', '_', file.path.stem)}_{file.fingerprint[:16]}"


class _Loader(importlib.abc.SourceLoader):
    """Runs the code that was read. It keeps no bytecode, which is checked by time and size only and so could miss a quick edit."""

    def __init__(self, file: PluginFile) -> None:
        self.file = file
        #: A number that grows with each use of its module.
        self.used = next(_NOW)

    def get_filename(self, fullname: str) -> str:
        """Return the path for tracebacks and ``__file__``."""
        del fullname
        return str(self.file.path)

    def get_data(self, path: str | bytes) -> bytes:
        """Return the source."""
        del path
        return self.file.code


def _import_file(file: PluginFile) -> ModuleType:
    name = _module(file)
    loader = _loader(sys.modules.get(name))
    if loader and loader.file == file:
        loader.used = next(_NOW)
        return sys.modules[name]
    loader = _Loader(file)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=str(file.path))
    # So that the module has a ``__file__``.
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    # While it runs, what it defines is looked up by its module's name already.
    sys.modules[name] = module
    try:
        _show_source(file)
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    others = ((name, _loader(module)) for name, module in list(sys.modules.items()))
    versions = {name: one for name, one in others if one and one.file.path == file.path}
    for old in sorted(versions, key=lambda name: versions[name].used)[:-_KEPT]:
        del sys.modules[old]
    return module


def _show_source(file: PluginFile) -> None:
    """Let readers of source, such as pydantic for descriptions of fields, see the code that runs, whatever the disk has by then."""
    # Code that can't be decoded fails when it is compiled, with its position.
    with suppress(SyntaxError, UnicodeDecodeError):
        lines = importlib.util.decode_source(file.code).splitlines(keepends=True)
        # Without a time, it is not compared with the file on the disk.
        linecache.cache[str(file.path)] = (len(file.code), None, lines, str(file.path))


def _loader(module: ModuleType | None) -> _Loader | None:
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return loader if isinstance(loader, _Loader) else None
