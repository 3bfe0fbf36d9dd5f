"""Load plugins: find them, try those that are not gatewayd's own, and import each when a class of it is first asked for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Plugin
from gatewayd.errors import PluginError
from gatewayd.registry import discovery
from gatewayd.registry.offers import OBSERVERS, ROLES, ObserverHook, offered, singular
from gatewayd.registry.own_plugins import OFFERS, SENDING
from gatewayd.registry.trial import TrialResult, Trials
from gatewayd.runtime import journal
from gatewayd.runtime.standard_output import standard_output_kept
from gatewayd.runtime.traces import Spot, reason, spot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.registry.discovery import FoundPlugin, PluginFile
    from gatewayd.registry.offers import PluginOffers

__all__ = ["GONE", "LEFT_OUT", "OBSERVERS", "ROLES", "LoadedPlugin", "ObserverHook", "Registry", "Trials", "load"]

#: The fault of a single file that is in use although it was deleted.
GONE = "gone, but what it offers is still in use"
#: The error of a plugin that the config leaves out.
LEFT_OUT = "left out (plugins.without)"

_Role = TypeVar("_Role", bound=Plugin)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """A plugin that was found, whether it is in use or not."""

    name: str
    #: The distribution with its version, or the file.
    source: str
    #: (role, kind) for each class that it offers, and ("observers", hook) for each hook that it observes.
    offers: tuple[tuple[str, str], ...] = ()
    #: The kinds of its forwarders that send mail.
    sending: tuple[str, ...] = ()
    #: Why it is out of use; empty if it is in use.
    error: str = ""
    #: What is wrong with its file, if the file's former content is in use.
    fault: str = ""
    #: The position of the error or fault in its code, if known.
    spot: Spot | None = None
    #: The path of a single file; None for an installed plugin.
    path: Path | None = None
    #: The names by which ``plugins.without`` can leave it out.
    names: frozenset[str] = frozenset()

    @property
    def left_out(self) -> bool:
        """Whether the config leaves it out."""
        return self.error == LEFT_OUT


class _UsablePlugin:
    """A plugin that is sound, imported when its offers are first asked for."""

    def __init__(
        self, found: FoundPlugin, result: TrialResult, importing: Callable[[str, str], None], offers: PluginOffers | None
    ) -> None:
        """``importing`` is called with name and source before the import; ``offers`` are given if it is imported already."""
        self.found = found
        self.words = result.words
        self.sending = result.sending
        self._importing = importing
        self._offers = offers
        #: Why it can't be imported in this process, although its trial succeeded.
        self._error = ""

    def offers(self) -> PluginOffers:
        """Return what it offers. Raises PluginError each time, once its import has failed."""
        if self._offers is None and not self._error:
            if not (self.found.own or self.found.is_imported):
                self._importing(self.found.name, self.found.source)
            try:
                self._offers = _import_own(self.found) if self.found.own else _import(self.found)
                if set(self._offers.words) != set(self.words):
                    self._error = "it offers something else than when it was tried"
            except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a plugin raises puts that plugin alone out of use
                self._error = reason(error)
        if self._error or self._offers is None:
            raise PluginError(f"the plugin {self.found.name} is out of use: {self._error}", advice="See `gatewayd plugins list`.")
        return self._offers


def _import(found: FoundPlugin) -> PluginOffers:
    """Import a plugin, and return what it offers. Raises PluginError, and whatever the plugin raises."""
    with standard_output_kept():
        return offered(found.name, found.load())


#: A plugin of gatewayd's own stays as it was imported until the process ends: a reload need not look at it again.
_import_own = cache(_import)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The classes and observers that the plugins of this process offer."""

    plugins: tuple[LoadedPlugin, ...]
    #: The single files in use: worker processes load them, and they are kept in case the files on the disk turn faulty.
    files: tuple[PluginFile, ...] = field(default=(), repr=False)
    #: Classes that are given by role and kind, without a plugin.
    _classes: Mapping[tuple[str, str], type[Plugin]] = field(repr=False)
    _usable: tuple[_UsablePlugin, ...] = field(default=(), repr=False)

    def kinds(self, role: type[Plugin]) -> tuple[str, ...]:
        """Return the kinds of a role, sorted."""
        word = _word(role)
        offers = (*self._classes, *(offer for plugin in self._usable for offer in plugin.words))
        return tuple(sorted({kind for name, kind in offers if name == word}))

    def sending(self) -> tuple[str, ...]:
        """Return the kinds of forwarders that send mail, sorted."""
        given = (kind for (_, kind), cls in self._classes.items() if issubclass(cls, Forwarder) and cls.sends_mail)
        return tuple(sorted({*given, *(kind for plugin in self._usable for kind in plugin.sending)}))

    def get(self, role: type[_Role], kind: str) -> type[_Role]:
        """Return the class of that role and kind; raises PluginError that says why there is none.

        Its plugin is imported now, if it is not gatewayd's own and nothing of it was asked for before.
        """
        key = (_word(role), kind)
        if key in self._classes:
            return cast("type[_Role]", self._classes[key])
        for plugin in self._usable:
            if key in plugin.words:
                return cast("type[_Role]", plugin.offers().classes[key])
        failed = [plugin.name for plugin in self.plugins if plugin.error and not plugin.left_out]
        out_of_use = f" (out of use: {', '.join(failed)})" if failed else ""
        raise PluginError(f"no plugin offers the {singular(key[0])} {kind!r}{out_of_use}", advice="See `gatewayd plugins list`.")

    def classes(self, role: type[_Role]) -> Sequence[type[_Role]]:
        """Return all classes of a role that can be imported, by kind."""
        found = []
        for kind in self.kinds(role):
            with suppress(PluginError):
                found.append(self.get(role, kind))
        return found

    def fingerprint(self, role: type[Plugin], kind: str) -> str:
        """Return a hash of the code of the plugin that offers a kind; empty if no plugin does."""
        # Hashed only for what is used: all plugins of gatewayd's own take longer than a command's look at the store.
        key = (_word(role), kind)
        return next((plugin.found.fingerprint for plugin in self._usable if key in plugin.words), "")

    def part(self, wanted: Iterable[tuple[type[Plugin], str]]) -> Registry:
        """Return a registry of these roles and kinds only, without those that no plugin offers; it pickles small."""
        known = [(role, kind) for role, kind in wanted if kind in self.kinds(role)]
        return Registry(plugins=(), _classes={(_word(role), kind): self.get(role, kind) for role, kind in known})

    def observers(self, hook: str) -> Sequence[ObserverHook]:
        """Return the observers of a hook; the caller guards each call."""
        found: list[ObserverHook] = []
        for plugin in self._usable:
            if ("observers", hook.removeprefix("gatewayd_")) in plugin.words:
                try:
                    found += [observer for observer in plugin.offers().observers if observer.hook == hook]
                except PluginError as error:
                    journal.plugin_refused(plugin.found.name, error)
        return found


def _word(role: type[Plugin]) -> str:
    return next(name for name, base in ROLES.items() if base is role)


def load(
    folder: Path | None = None, *, files: Sequence[PluginFile] = (), without: Collection[str] = (), tries: Trials | None = None
) -> Registry:
    """Load the plugins of all installed distributions and the single files of ``folder``. Never raises for a plugin.

    Plugins other than gatewayd's own are tried in child processes, and imported here when one of their classes is asked for.
    ``without``: plugins to leave out, each by its name, its file's or its distribution's.
    ``files``: single files of another registry. Each is used if the folder has no sound file of its name; so a worker
    process, which has no folder, loads exactly the code that it is given.
    Raises what ``tries.go_on`` raises.
    """
    loading = _Loading(tries or Trials(), frozenset(without))
    loading.add([*discovery.installed(), *discovery.singles(folder)])
    loading.add_fallbacks(files)
    kept = tuple(plugin.found.file for plugin in loading.usable if plugin.found.file)
    return Registry(plugins=tuple(loading.plugins), files=kept, _classes={}, _usable=tuple(loading.usable))


class _Loading:
    """The plugins that one call of ``load`` has found so far."""

    def __init__(self, tries: Trials, without: frozenset[str]) -> None:
        self._tries = tries
        self._without = without
        self.plugins: list[LoadedPlugin] = []
        self.usable: list[_UsablePlugin] = []

    def add(self, plugins: Sequence[FoundPlugin]) -> None:
        """Load plugins; each stays in the list, with its error if it is out of use."""
        to_try = [found for found in plugins if not (found.own or found.error or found.names & self._without)]
        results = self._tries.results(to_try)
        for found in plugins:
            self.plugins.append(self._loaded(found, results.get(found)))

    def add_fallbacks(self, files: Sequence[PluginFile]) -> None:
        """Load single files of another registry, unless the folder's own file of that name is sound or left out."""
        sound = {plugin.path.name for plugin in self.plugins if plugin.path and (not plugin.error or plugin.left_out)}
        wanted = [discovery.single(file) for file in files if file.path.name not in sound]
        wanted = [found for found in wanted if not found.names & self._without]
        results = self._tries.results(wanted)
        for found in wanted:
            same = next((one for one in self.plugins if one.path and found.path and one.path.name == found.path.name), None)
            before, self.plugins = self.plugins, [one for one in self.plugins if one is not same]
            # Without the faulty file, whose name would be taken.
            loaded = self._loaded(found, results[found])
            if loaded.error:
                self.plugins = before
            else:
                self.plugins.append(replace(loaded, fault=same.error if same else GONE, spot=same.spot if same else None))

    def _loaded(self, found: FoundPlugin, result: TrialResult | None) -> LoadedPlugin:
        """Decide whether a plugin can be used. Without a ``result`` of a trial it is gatewayd's own.

        That is imported now only if nobody wrote down what it offers.
        """
        plain = LoadedPlugin(name=found.name, source=found.source, path=found.path, names=found.names)
        own = None
        if found.names & self._without:
            return replace(plain, error=LEFT_OUT)
        if found.error:
            return replace(plain, error=found.error)
        if result is None and found.name in OFFERS:
            words = OFFERS[found.name]
            result = TrialResult(
                words=words, sending=tuple(kind for role, kind in words if role == "forwarders" and kind in SENDING)
            )
        elif result is None:
            try:
                own = _import_own(found)
            except Exception as error:  # noqa: BLE001  one of ours that can't be imported puts itself alone out of use
                return replace(plain, error=reason(error), spot=spot(error))
            result = TrialResult(words=own.words, sending=own.sending)
        elif wrong := result.error or self._conflict(found, result.words):
            at = Spot(result.file, result.line, result.column) if result.file else None
            return replace(plain, error=wrong, spot=at)
        self.usable.append(_UsablePlugin(found, result, self._tries.importing, own))
        return replace(plain, offers=result.words, sending=result.sending)

    def _conflict(self, found: FoundPlugin, words: Sequence[tuple[str, str]]) -> str:
        """Return which other plugin has the name or a kind of this one already; empty if none has."""
        there = [plugin for plugin in self.plugins if not plugin.error]
        same = next((plugin for plugin in there if plugin.name == found.name), None)
        if same is not None:
            file = found.path.name if found.path else found.name
            way = "give the file another name, or leave one of them out" if found.path else "leave one of them out"
            return f"there is a plugin {found.name!r} already, of {same.source}: {way} (plugins.without: [{file}])"
        for role, kind in words:
            other = next((plugin for plugin in there if (role, kind) in plugin.offers), None)
            if other and role in ROLES:
                return f"it offers the {singular(role)} {kind!r}, which {other.name} ({other.source}) offers already"
        return ""
