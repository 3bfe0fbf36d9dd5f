"""Find plugins, load each in a guard of its own, and keep what they offer by role and kind."""

from __future__ import annotations

import difflib
import inspect
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import pluggy

from gatewayd import discovery, hookspecs
from gatewayd.errors import PluginError
from gatewayd.forwarder import Forwarder
from gatewayd.options import Options
from gatewayd.roles import Command, Directory, Matcher, Plugin, Transport
from gatewayd.store import Store
from gatewayd.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gatewayd.discovery import Found, PluginFile
    from gatewayd.events import Event

__all__ = ["GONE", "OBSERVERS", "ROLES", "Loaded", "Observer", "Registry", "load", "where"]

#: What is wrong with a single file that is in use although it is no longer there.
GONE = "gone, but what it offers is still in use"
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")

#: The roles by the name of the hook that offers them, without its prefix.
ROLES: Mapping[str, type[Plugin]] = {
    "transports": Transport,
    "directories": Directory,
    "matchers": Matcher,
    "forwarders": Forwarder,
    "stores": Store,
    "commands": Command,
}

#: The hooks that tell, without their prefix.
OBSERVERS = ("mail_filed", "mail_failed", "delivery_settled", "account_changed", "config_loaded")

_Role = TypeVar("_Role", bound=Plugin)

_HOOKS = tuple(f"{hookspecs.PROJECT}_{name}" for name in (*ROLES, *OBSERVERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One plugin that was found, in or out of use."""

    name: str
    #: The distribution with its version, or the file.
    source: str
    #: What it offers as (role, kind); what it hears of as ("observers", hook).
    offers: tuple[tuple[str, str], ...] = ()
    #: Why it is out of use; empty where it is in use.
    error: str = ""
    #: What is wrong with its file, where the file as it was before is in use.
    fault: str = ""
    #: SHA-256 over its source; empty where it is out of use.
    fingerprint: str = ""
    #: The single file that it is; None for an installed one.
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observer:
    """One plugin's answer to one hook that tells."""

    plugin: str
    #: The hook's whole name.
    hook: str
    #: Takes the event. Raises whatever the plugin raises.
    call: Callable[[Event], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What the plugins of this process offer."""

    plugins: tuple[Loaded, ...]
    #: The single files in use: what a worker process loads, and what is kept for the case that they turn faulty.
    files: tuple[PluginFile, ...] = field(default=(), repr=False)
    _classes: Mapping[tuple[str, str], type[Plugin]] = field(repr=False)
    _observers: tuple[Observer, ...] = field(default=(), repr=False)

    def kinds(self, role: type[Plugin]) -> tuple[str, ...]:
        """Return the kinds of a role, sorted."""
        return tuple(sorted(kind for (name, kind) in self._classes if ROLES[name] is role))

    def get(self, role: type[_Role], kind: str) -> type[_Role]:
        """Return the class of that role and kind; raises PluginError that says why there is none."""
        name = _word(role)
        found = self._classes.get((name, kind))
        if found is None:
            raise PluginError(
                f"no plugin offers the {_singular(name)} {kind!r}{self._failed()}", advice="See `gatewayd plugins list`."
            )
        return cast("type[_Role]", found)

    def fingerprint(self, role: type[Plugin], kind: str) -> str:
        """Return what tells the code behind a kind from other code; empty where no plugin offers it."""
        name = _word(role)
        return next((plugin.fingerprint for plugin in self.plugins if (name, kind) in plugin.offers), "")

    def part(self, wanted: Iterable[tuple[type[Plugin], str]]) -> Registry:
        """Return a registry of just these roles and kinds, as far as there are any; it pickles small."""
        words = [(_word(role), kind) for role, kind in wanted]
        return Registry(plugins=(), _classes={word: self._classes[word] for word in words if word in self._classes})

    def commands(self) -> Sequence[type[Command]]:
        """Return the words that plugins add to the command line."""
        return [self.get(Command, kind) for kind in self.kinds(Command)]

    def observers(self, hook: str) -> Sequence[Observer]:
        """Return who hears of what the hook tells, each to be called in a guard of its own."""
        return [one for one in self._observers if one.hook == hook]

    def _failed(self) -> str:
        failed = [plugin.name for plugin in self.plugins if plugin.error]
        return f" (out of use: {', '.join(failed)})" if failed else ""


def _word(role: type[Plugin]) -> str:
    return next(name for name, base in ROLES.items() if base is role)


def _singular(hook: str) -> str:
    return hook.replace("ies", "y").rstrip("s")


def load(folder: Path | None = None, *, files: Sequence[PluginFile] = ()) -> Registry:
    """Load the plugins of all installed distributions and the single files of ``folder``. Never raises for a plugin.

    ``files`` are single files as another registry has them: each is taken where the folder has no sound file of its name.
    Without a folder, a worker process so has just the code that it is meant to have.
    """
    loading = _Loading()
    for found in (*discovery.installed(), *discovery.singles(folder)):
        loading.add(found)
    for file in files:
        loading.stand_in(file)
    return loading.registry()


class _Loading:
    """One round of loading plugins."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: list[Loaded] = []
        self._classes: dict[tuple[str, str], type[Plugin]] = {}
        self._files: list[PluginFile] = []

    def registry(self) -> Registry:
        return Registry(
            plugins=tuple(self._plugins),
            files=tuple(self._files),
            _classes=self._classes,
            _observers=tuple(_observers(self._manager)),
        )

    def add(self, found: Found, *, fault: str = "") -> None:
        try:
            loaded = self._load(found)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises puts that plugin alone out of use
            loaded = Loaded(name=found.name, source=found.source, path=found.path, error=where(error))
        self._plugins.append(replace(loaded, fault=fault))

    def stand_in(self, file: PluginFile) -> None:
        same = [one for one in self._plugins if one.path and one.path.name == file.path.name]
        if any(not one.error for one in same):
            return
        length = len(self._plugins)
        self.add(discovery.single(file), fault=same[0].error if same else GONE)
        # If it is no better than what it stands in for, it was never there.
        out = self._plugins[length:] if self._plugins[-1].error else same
        self._plugins = [one for one in self._plugins if one not in out]

    def _load(self, found: Found) -> Loaded:
        try:
            imported = found.load()
        except SystemExit as error:
            raise PluginError(f"it exits when it is imported: {error}") from error
        offered = self._offers(found.name, imported.plugin)
        heard = tuple(("observers", hook) for hook in _heard(self._manager, found.name))
        self._classes.update(offered)
        self._files += [imported.file] if imported.file else []
        offers = (*offered, *heard)
        return Loaded(name=found.name, source=found.source, path=found.path, offers=offers, fingerprint=imported.fingerprint)

    def _offers(self, name: str, module: object) -> dict[tuple[str, str], type[Plugin]]:
        _refuse_unknown_hooks(self._manager, module)
        if self._manager.register(module, name) is None:
            raise PluginError(f"the name {name!r} is blocked")
        try:
            self._manager.check_pending()
            offered = _collected(self._manager, name, module)
            _refuse_taken(offered, self._classes, self._plugins)
        except BaseException:
            self._manager.unregister(module)
            raise
        return offered


def _heard(manager: pluggy.PluginManager, name: str) -> list[str]:
    """The hooks that tell which a plugin answers."""
    answered = {caller.name for caller in manager.get_hookcallers(manager.get_plugin(name)) or ()}
    return [hook for hook in OBSERVERS if f"{hookspecs.PROJECT}_{hook}" in answered]


def _observers(manager: pluggy.PluginManager) -> Iterator[Observer]:
    """Each plugin apart: one that raises would make pluggy drop the others."""
    for name, module in manager.list_name_plugin():
        others = [other for other in manager.get_plugins() if other is not module]
        for hook in _heard(manager, name):
            hear = manager.subset_hook_caller(f"{hookspecs.PROJECT}_{hook}", others)
            yield Observer(plugin=name, hook=hear.name, call=partial(_told, hear))


def _told(hear: pluggy.HookCaller, event: Event) -> object:
    # pluggy takes arguments by name only.
    return hear(event=event)


def _collected(manager: pluggy.PluginManager, name: str, module: object) -> dict[tuple[str, str], type[Plugin]]:
    offers = {
        (role, offered.kind): offered
        for role, base in ROLES.items()
        for offered in _call(manager, module, role)
        if _checked(offered, base)
    }
    if not offers and not _heard(manager, name):
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
