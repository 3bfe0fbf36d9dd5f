"""Find plugins, try each in a process of its own, and import what is asked for; keep what they offer by role and kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Plugin
from gatewayd.errors import GatewaydError, PluginError
from gatewayd.registry import discovery
from gatewayd.registry.lazy_plugin import LazyPlugin, imported
from gatewayd.registry.offers import OBSERVERS, ROLES, ObserverHook, singular
from gatewayd.registry.trial import TrialResult, Trials
from gatewayd.runtime import journal
from gatewayd.runtime.traces import Spot, spot, where

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.registry.discovery import FoundPlugin, PluginFile
    from gatewayd.registry.offers import PluginOffers

__all__ = [
    "GONE",
    "LEFT_OUT",
    "OBSERVERS",
    "ROLES",
    "LoadedPlugin",
    "ObserverHook",
    "Registry",
    "Trials",
    "load",
]

#: What is wrong with a single file that is in use although it is no longer there.
GONE = "gone, but what it offers is still in use"
#: Why a plugin is out of use that somebody wants out of use.
LEFT_OUT = "left out (plugins.without)"

_Role = TypeVar("_Role", bound=Plugin)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """One plugin that was found, in or out of use."""

    name: str
    #: The distribution with its version, or the file.
    source: str
    #: What it offers as (role, kind); what it hears of as ("observers", hook).
    offers: tuple[tuple[str, str], ...] = ()
    #: The kinds of its forwarders that send mail.
    sending: tuple[str, ...] = ()
    #: Why it is out of use; empty where it is in use.
    error: str = ""
    #: What is wrong with its file, where the file as it was before is in use.
    fault: str = ""
    #: Where in its code the error or fault is, as far as it is known.
    spot: Spot | None = None
    #: SHA-256 over its source; empty where it is out of use.
    fingerprint: str = ""
    #: The single file that it is; None for an installed one.
    path: Path | None = None
    #: By which it can be left out.
    names: frozenset[str] = frozenset()

    @property
    def left_out(self) -> bool:
        """Whether it is out of use because somebody wants it so."""
        return self.error == LEFT_OUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What the plugins of this process offer."""

    plugins: tuple[LoadedPlugin, ...]
    #: The single files in use: what a worker process loads, and what is kept for the case that they turn faulty.
    files: tuple[PluginFile, ...] = field(default=(), repr=False)
    _classes: Mapping[tuple[str, str], type[Plugin]] = field(repr=False)
    _observers: tuple[ObserverHook, ...] = field(default=(), repr=False)
    #: By what they offer: plugins that are not imported before that is asked for.
    _later: Mapping[tuple[str, str], tuple[LazyPlugin, ...]] = field(default_factory=dict, repr=False)

    def kinds(self, role: type[Plugin]) -> tuple[str, ...]:
        """Return the kinds of a role, sorted."""
        word = _word(role)
        return tuple(sorted({kind for (name, kind) in (*self._classes, *self._later) if name == word}))

    def sending(self) -> tuple[str, ...]:
        """Return the kinds of forwarders that send mail, sorted."""
        ours = (kind for (_, kind), one in self._classes.items() if issubclass(one, Forwarder) and one.sends_mail)
        theirs = (kind for plugin in self.plugins for kind in plugin.sending if ("forwarders", kind) in self._later)
        return tuple(sorted({*ours, *theirs}))

    def get(self, role: type[_Role], kind: str) -> type[_Role]:
        """Return the class of that role and kind; raises PluginError that says why there is none.

        A plugin that is none of gatewayd's own is imported when it is first asked for.
        """
        key = (_word(role), kind)
        found = self._classes.get(key)
        if found is None and key in self._later:
            found = self._later[key][0].offered().classes[key]
        if found is None:
            raise PluginError(
                f"no plugin offers the {singular(key[0])} {kind!r}{self._failed()}", advice="See `gatewayd plugins list`."
            )
        return cast("type[_Role]", found)

    def classes(self, role: type[_Role]) -> Sequence[type[_Role]]:
        """Return all classes of a role that can be imported, by kind."""
        found = []
        for kind in self.kinds(role):
            with suppress(PluginError):
                found.append(self.get(role, kind))
        return found

    def fingerprint(self, role: type[Plugin], kind: str) -> str:
        """Return what tells the code behind a kind from other code; empty where no plugin offers it."""
        name = _word(role)
        return next((plugin.fingerprint for plugin in self.plugins if (name, kind) in plugin.offers), "")

    def part(self, wanted: Iterable[tuple[type[Plugin], str]]) -> Registry:
        """Return a registry of just these roles and kinds, as far as there are any; it pickles small."""
        words = [(role, kind) for role, kind in wanted if kind in self.kinds(role)]
        return Registry(plugins=(), _classes={(_word(role), kind): self.get(role, kind) for role, kind in words})

    def observers(self, hook: str) -> Sequence[ObserverHook]:
        """Return who hears of what the hook tells, each to be called in a guard of its own."""
        found = [one for one in self._observers if one.hook == hook]
        for later in self._later.get(("observers", hook.removeprefix("gatewayd_")), ()):
            try:
                found += [one for one in later.offered().observers if one.hook == hook]
            except PluginError as error:
                journal.plugin_refused(later.found.name, error)
        return found

    def _failed(self) -> str:
        failed = [plugin.name for plugin in self.plugins if plugin.error and not plugin.left_out]
        return f" (out of use: {', '.join(failed)})" if failed else ""


def _word(role: type[Plugin]) -> str:
    return next(name for name, base in ROLES.items() if base is role)


def load(
    folder: Path | None = None, *, files: Sequence[PluginFile] = (), without: Collection[str] = (), tries: Trials | None = None
) -> Registry:
    """Load the plugins of all installed distributions and the single files of ``folder``. Never raises for a plugin.

    All but gatewayd's own are tried in processes apart, and imported here when something of them is asked for. ``without``
    are left out, by a plugin's name, its file's or its distribution's.
    ``files`` are single files as another registry has them: each is taken where the folder has no sound file of its name.
    Without a folder, a worker process so has just the code that it is meant to have. Raises what ``tries.go_on`` raises.
    """
    loading = _Loading(tries or Trials(), frozenset(without))
    loading.add([*discovery.installed(), *discovery.singles(folder)])
    loading.stand_in(files)
    return loading.registry()


#: One of gatewayd's own stays as it was imported until the process ends: a reload need not look at it again.
_own = cache(imported)


class _Loading:
    """One round of loading plugins."""

    def __init__(self, tries: Trials, without: frozenset[str]) -> None:
        self._tries = tries
        self._without = without
        self._plugins: list[LoadedPlugin] = []
        self._own: list[PluginOffers] = []
        self._later: list[LazyPlugin] = []
        self._files: list[PluginFile] = []

    def registry(self) -> Registry:
        later: dict[tuple[str, str], tuple[LazyPlugin, ...]] = {}
        for one in self._later:
            for word in one.verdict.words:
                later[word] = (*later.get(word, ()), one)
        return Registry(
            plugins=tuple(self._plugins),
            files=tuple(self._files),
            _classes={word: offered for one in self._own for word, offered in one.classes.items()},
            _observers=tuple(observer for one in self._own for observer in one.observers),
            _later=later,
        )

    def add(self, plugins: Sequence[FoundPlugin]) -> None:
        wanted = [one for one in plugins if not one.names & self._without]
        verdicts = self._tries.verdicts([one for one in wanted if not one.own and not one.error])
        for one in plugins:
            if one in wanted:
                self._plugins.append(self._loaded(one, verdicts.get(one)))
            else:
                self._plugins.append(LoadedPlugin(name=one.name, source=one.source, path=one.path, names=one.names, error=LEFT_OUT))

    def stand_in(self, files: Sequence[PluginFile]) -> None:
        sound = {one.path.name for one in self._plugins if one.path and (not one.error or one.left_out)}
        wanted = [discovery.single(file) for file in files if file.path.name not in sound]
        wanted = [one for one in wanted if not one.names & self._without]
        verdicts = self._tries.verdicts(wanted)
        for found in wanted:
            same = next((one for one in self._plugins if one.path and found.path and one.path.name == found.path.name), None)
            rest = [one for one in self._plugins if one is not same]
            # It must not be in its own way.
            before, self._plugins = self._plugins, rest
            loaded = self._loaded(found, verdicts[found])
            fault = replace(loaded, fault=same.error if same else GONE, spot=same.spot if same else None)
            # If it is no better than what it stands in for, it was never there.
            self._plugins = before if loaded.error else [*rest, fault]

    def _loaded(self, found: FoundPlugin, verdict: TrialResult | None) -> LoadedPlugin:
        plain = LoadedPlugin(name=found.name, source=found.source, path=found.path, names=found.names)
        if verdict is not None and not verdict.error:
            error = self._taken(found, verdict.words)
            if not error:
                self._later.append(LazyPlugin(found, verdict, self._tries.importing))
                self._files += [found.file] if found.file else []
                return replace(plain, offers=verdict.words, sending=verdict.sending, fingerprint=found.fingerprint)
            return replace(plain, error=error)
        if verdict is not None:
            at = Spot(verdict.file, verdict.line, verdict.column) if verdict.file else None
            return replace(plain, error=verdict.error, spot=at)
        return replace(plain, error=found.error) if found.error else self._ours(found, plain)

    def _ours(self, found: FoundPlugin, plain: LoadedPlugin) -> LoadedPlugin:
        """Import a plugin of gatewayd's own."""
        try:
            own = _own(found)
        except Exception as error:  # noqa: BLE001  one of ours that can't be imported puts itself alone out of use
            return replace(plain, error=error.sentences if isinstance(error, GatewaydError) else where(error), spot=spot(error))
        self._own.append(own)
        return replace(plain, offers=own.words, sending=own.sending, fingerprint=found.fingerprint)

    def _taken(self, found: FoundPlugin, words: Sequence[tuple[str, str]]) -> str:
        """Return what of a plugin's name or kinds is another one's; empty where nothing is."""
        there = [one for one in self._plugins if not one.error]
        same = next((one for one in there if one.name == found.name), None)
        if same is not None:
            file = found.path.name if found.path else found.name
            way = "give the file another name, or leave one of them out" if found.path else "leave one of them out"
            return f"there is a plugin {found.name!r} already, of {same.source}: {way} (plugins.without: [{file}])"
        for role, kind in words:
            other = next((one for one in there if (role, kind) in one.offers), None)
            if other and role in ROLES:
                return f"it offers the {singular(role)} {kind!r}, which {other.name} ({other.source}) offers already"
        return ""
