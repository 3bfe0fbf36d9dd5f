"""Find plugins, load each in a guard of its own, and keep what they offer by role and kind."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import re
import sys
import traceback
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pluggy

from gatewayd import hookspecs
from gatewayd.errors import PluginError
from gatewayd.options import Options
from gatewayd.roles import Command, Directory, Matcher, Plugin, Transport
from gatewayd.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.metadata import EntryPoint

__all__ = ["ROLES", "Loaded", "Registry", "load", "where"]

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")

#: The roles by the name of the hook that offers them, without its prefix.
ROLES: Mapping[str, type[Plugin]] = {
    "transports": Transport,
    "directories": Directory,
    "matchers": Matcher,
    "stores": Store,
    "commands": Command,
}

_Role = TypeVar("_Role", bound=Plugin)

_HOOKS = tuple(f"{hookspecs.PROJECT}_{role}" for role in ROLES)
#: The kernel's own files; a plugin's fault is never at one of their lines.
_KERNEL = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One plugin that was found, in or out of use."""

    name: str
    #: The distribution with its version, or the file.
    source: str
    #: What it offers as (role, kind).
    offers: tuple[tuple[str, str], ...] = ()
    #: Why it is out of use; empty where it is in use.
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What the plugins of this process offer."""

    plugins: tuple[Loaded, ...]
    _classes: Mapping[tuple[str, str], type[Plugin]] = field(repr=False)

    def kinds(self, role: type[Plugin]) -> tuple[str, ...]:
        """Return the kinds of a role, sorted."""
        return tuple(sorted(kind for (name, kind) in self._classes if ROLES[name] is role))

    def get(self, role: type[_Role], kind: str) -> type[_Role]:
        """Return the class of that role and kind; raises PluginError that says why there is none."""
        name = next(name for name, base in ROLES.items() if base is role)
        found = self._classes.get((name, kind))
        if found is None:
            raise PluginError(
                f"no plugin offers the {_singular(name)} {kind!r}{self._failed()}", advice="See `gatewayd plugins list`."
            )
        return cast("type[_Role]", found)

    def commands(self) -> Sequence[type[Command]]:
        """Return the words that plugins add to the command line."""
        return [self.get(Command, kind) for kind in self.kinds(Command)]

    def _failed(self) -> str:
        failed = [plugin.name for plugin in self.plugins if plugin.error]
        return f" (out of use: {', '.join(failed)})" if failed else ""


def _singular(hook: str) -> str:
    return hook.replace("ies", "y").rstrip("s")


def load(folder: Path | None = None) -> Registry:
    """Load the plugins of all installed distributions and the single files of ``folder``. Never raises for a plugin."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins: list[Loaded] = []
    classes: dict[tuple[str, str], type[Plugin]] = {}
    for name, source, imported in [*_installed(), *_files(folder)]:
        try:
            offered = _offers(manager, name, imported)
            _refuse_taken(offered, classes, plugins)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises puts that plugin alone out of use
            plugins.append(Loaded(name=name, source=source, error=where(error)))
        else:
            classes.update(offered)
            plugins.append(Loaded(name=name, source=source, offers=tuple(offered)))
    return Registry(plugins=tuple(plugins), _classes=classes)


def _installed() -> Iterator[tuple[str, str, Callable[[], object]]]:
    def order(point: EntryPoint) -> tuple[bool, str]:
        return (point.dist is None or point.dist.name != hookspecs.PROJECT, point.name)  # our own first: nobody takes their kinds

    for point in sorted(entry_points(group=hookspecs.PROJECT), key=order):
        source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        yield point.name, source, point.load


def _files(folder: Path | None) -> Iterator[tuple[str, str, Callable[[], object]]]:
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.glob("*.py")):
        yield path.stem, str(path), partial(_import_file, path)


def _import_file(path: Path) -> object:
    name = f"gatewayd_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _offers(manager: pluggy.PluginManager, name: str, imported: Callable[[], object]) -> dict[tuple[str, str], type[Plugin]]:
    try:
        module = imported()
    except SystemExit as error:
        raise PluginError(f"it exits when it is imported: {error}") from error
    _refuse_unknown_hooks(manager, module)
    if manager.register(module, name) is None:
        raise PluginError(f"the name {name!r} is blocked")
    try:
        manager.check_pending()
        return _collected(manager, module)
    except BaseException:
        manager.unregister(module)
        raise


def _collected(manager: pluggy.PluginManager, module: object) -> dict[tuple[str, str], type[Plugin]]:
    offers = {
        (role, offered.kind): offered
        for role, base in ROLES.items()
        for offered in _call(manager, module, role)
        if _checked(offered, base)
    }
    if not offers:
        raise PluginError("it offers nothing: expected a function marked @hookimpl, such as gatewayd_matchers")
    return offers


def _refuse_unknown_hooks(manager: pluggy.PluginManager, module: object) -> None:
    for name in dir(module):
        if name not in _HOOKS and manager.parse_hookimpl_opts(module, name) is not None:
            near = difflib.get_close_matches(name, _HOOKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(_HOOKS)}"
            raise PluginError(f"there is no hook {name}: {hint}")


def _call(manager: pluggy.PluginManager, module: object, role: str) -> list[type[Plugin]]:
    others = [other for other in manager.get_plugins() if other is not module]
    hook = manager.subset_hook_caller(f"{hookspecs.PROJECT}_{role}", others)
    answers = hook()
    # An answer of None is left out of them by pluggy.
    if len(answers) < len(hook.get_hookimpls()) or not all(isinstance(answer, list | tuple) for answer in answers):
        raise PluginError(f"{hookspecs.PROJECT}_{role} must return a list of classes")
    return [offered for answer in answers for offered in answer]


def _checked(offered: object, base: type[Plugin]) -> bool:
    """Whether a hook offered a class of its role; raises PluginError that says what is wrong with it."""
    if not (isinstance(offered, type) and issubclass(offered, base)):
        raise PluginError(f"{offered!r} is no class derived from {base.__name__}")
    kind = getattr(offered, "kind", None)
    if not (isinstance(kind, str) and _KIND.fullmatch(kind)):
        raise PluginError(f"{offered.__name__}.kind is {kind!r}, expected a word such as 'vouchers' (a-z, 0-9, -)")
    if not issubclass(offered.Options, Options):
        raise PluginError(f"{offered.__name__}.Options is not derived from {base.__name__}.Options")
    if inspect.isabstract(offered):
        missing = ", ".join(sorted(getattr(offered, "__abstractmethods__", ())))
        raise PluginError(f"{offered.__name__} lacks {missing}")
    return True


def _refuse_taken(
    offered: Mapping[tuple[str, str], type[Plugin]], classes: Mapping[tuple[str, str], type[Plugin]], plugins: Sequence[Loaded]
) -> None:
    for role, kind in offered:
        if (role, kind) in classes:
            other = next(plugin for plugin in plugins if (role, kind) in plugin.offers)
            raise PluginError(f"it offers the {_singular(role)} {kind!r}, which {other.name} ({other.source}) offers already")


def where(error: BaseException) -> str:
    """Return an error as one line, with the file and line that raised it: a plugin's where there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        # Its frames are the importer's.
        return f"{type(error).__name__}: {' '.join(error.msg.split())[:500]} ({Path(error.filename).name}:{error.lineno})"
    text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if not frames:
        return text
    file, line = ([one for one in frames if not _is_ours(one[0])] or frames)[-1]
    return f"{text} ({Path(file).name}:{line})"


def _is_ours(file: str) -> bool:
    """Whether a frame's file is the kernel's or the importer's."""
    path = Path(file)
    return path.parent in {_KERNEL, _KERNEL / "config"} or path.parent.name == "importlib" or file.startswith("<frozen importlib")
