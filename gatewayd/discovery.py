"""Where plugins come from: entry points of installed distributions, and single files.

A single file is read once, and what was read is what runs: here, in worker processes, and again later. A file that is
loaded again runs anew only if it changed. Its module's name ends in its fingerprint, so that values of the code before
still pickle while they are in use. An installed distribution stays as it was imported until the process ends.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import entry_points
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd import hookspecs
from gatewayd.regular import read_regular
from gatewayd.traces import SINGLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import EntryPoint
    from types import ModuleType

__all__ = ["Found", "Imported", "PluginFile", "installed", "single", "singles"]

_NOW = count()
#: No plugin's file is larger.
_LONGEST = 64 << 20
#: How many modules of one single file are kept importable: the code that runs, and the code before it.
_KEPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFile:
    """A single-file plugin as it was read."""

    #: Where it was read, or where it belongs.
    path: Path
    code: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the code."""
        return hashlib.sha256(self.code).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A plugin that was imported."""

    plugin: object
    #: SHA-256 over its source.
    fingerprint: str
    #: None for an installed one.
    file: PluginFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plugin that can be imported."""

    name: str
    #: The distribution with its version, or the file.
    source: str
    #: Imports it. Raises whatever the plugin raises, and OSError for a file that can't be read.
    load: Callable[[], Imported]
    #: None for an installed one.
    path: Path | None = None


def installed() -> Iterator[Found]:
    """Yield the plugins of all distributions, gatewayd's own first: nobody takes their kinds."""
    points = entry_points(group=hookspecs.PROJECT)
    # Whenever a distribution is asked for its name or version, it parses all its metadata.
    known = {dist: (dist.name, f"{dist.name} {dist.version}") for dist in {point.dist for point in points} if dist}

    def order(point: EntryPoint) -> tuple[bool, str]:
        return (point.dist is None or known[point.dist][0] != hookspecs.PROJECT, point.name)

    for point in sorted(points, key=order):
        source = known[point.dist][1] if point.dist else point.value
        yield Found(name=point.name, source=source, load=partial(_import_installed, point, source))


def singles(folder: Path | None) -> Iterator[Found]:
    """Yield the single-file plugins of a folder, by name."""
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.glob("*.py")):
        yield Found(name=path.stem, source=str(path), path=path, load=partial(_import_path, path))


def single(file: PluginFile) -> Found:
    """Return a single-file plugin that was read before."""
    return Found(name=file.path.stem, source=str(file.path), path=file.path, load=partial(_import_file, file))


def _import_installed(point: EntryPoint, source: str) -> Imported:
    plugin = point.load()
    return Imported(plugin=plugin, fingerprint=_of_package(point.module, source))


@cache
def _of_package(name: str, source: str) -> str:
    """Hash the source of the top package that an imported module belongs to, as it is the first time that this is asked."""
    found = hashlib.sha256(source.encode())
    parts = name.split(".")
    # A namespace package has no file of its own, and may be shared with others.
    packages = (sys.modules[".".join(parts[: depth + 1])] for depth in range(len(parts)))
    root = next((package for package in packages if getattr(package, "__file__", None)), None)
    origin = Path(str(root.__file__)) if root else None
    files = sorted(origin.parent.rglob("*.py")) if origin and hasattr(root, "__path__") else [origin] if origin else []
    for path in files:
        found.update(path.name.encode() + b"\0")
        try:
            found.update(path.read_bytes())
        except OSError:
            # An archive, or gone since: the distribution's version has to do.
            continue
    return found.hexdigest()


class _Loader(importlib.abc.SourceLoader):
    """Runs what was read. It keeps no bytecode: that goes by time and size, and so may be of the file before a quick edit."""

    def __init__(self, file: PluginFile) -> None:
        self.file = file
        #: When its module was last asked for.
        self.used = next(_NOW)

    def get_filename(self, fullname: str) -> str:
        """Return what stands in tracebacks and in ``__file__``."""
        del fullname
        return str(self.file.path)

    def get_data(self, path: str | bytes) -> bytes:
        """Return the source."""
        del path
        return self.file.code


def _import_path(path: Path) -> Imported:
    return _import_file(PluginFile(path=path, code=read_regular(path, _LONGEST)))


def _import_file(file: PluginFile) -> Imported:
    imported = partial(Imported, fingerprint=file.fingerprint, file=file)
    name = f"{SINGLE}{re.sub(r'[^a-zA-Z0-9]', '_', file.path.stem)}_{file.fingerprint[:16]}"
    loader = _loader(sys.modules.get(name))
    if loader and loader.file == file:
        loader.used = next(_NOW)
        return imported(plugin=sys.modules[name])
    loader = _Loader(file)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=str(file.path))
    # So that the module knows its ``__file__``.
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    # What a module defines is found by its module's name, while it runs as well.
    sys.modules[name] = module
    try:
        _show(file)
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _forget(file.path)
    return imported(plugin=module)


def _show(file: PluginFile) -> None:
    """Let who looks at source, as pydantic does for descriptions, see what runs and not what lies on the disk by then."""
    # What is no text is a fault when it is compiled, with its place.
    with suppress(SyntaxError, UnicodeDecodeError):
        lines = importlib.util.decode_source(file.code).splitlines(keepends=True)
        # Without a time, so that nothing is compared with the disk.
        linecache.cache[str(file.path)] = (len(file.code), None, lines, str(file.path))


def _loader(module: ModuleType | None) -> _Loader | None:
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return loader if isinstance(loader, _Loader) else None


def _forget(path: Path) -> None:
    """Let all but the newest modules of a file be forgotten."""
    modules = {
        name: loader for name, module in list(sys.modules.items()) if (loader := _loader(module)) and loader.file.path == path
    }
    for name in sorted(modules, key=lambda name: modules[name].used)[:-_KEPT]:
        del sys.modules[name]
