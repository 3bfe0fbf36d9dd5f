"""Reads the whole config folder, and decides for each faulty file whether its last good copy stands in for it.

A fault of one file never stops another: what is faulty is left out, or stood in for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatewayd.config import main
from gatewayd.config.account import account
from gatewayd.config.checker import Checker
from gatewayd.config.cross_checks import CrossCheck
from gatewayd.config.faults import hint
from gatewayd.config.files import Unreadable, names
from gatewayd.config.notify import notify, through
from gatewayd.config.operator import operator
from gatewayd.config.values import AccountConfig, Config, OperatorConfig, SecretUse
from gatewayd.config.yaml_documents import read
from gatewayd.errors import ConfigError, Fault
from gatewayd.registry import loading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.config.main import Main
    from gatewayd.registry.loading import LoadedPlugin, Registry, Trials

__all__ = ["Fallbacks", "FolderReading", "load", "plugins_of", "shown"]

_Value = TypeVar("_Value")


def load(
    folder: Path,
    registry: Registry | None = None,
    *,
    enter: Callable[[Path], None] = lambda _: None,
    tries: Trials | None = None,
) -> Config:
    """Read the config folder. Plugins are loaded from where ``gatewayd.yaml`` says, or are those of ``registry``.

    ``enter`` is called with the state folder before any plugin's code is; ``tries`` says how plugins are tried.
    Raises ConfigError, with every fault that was found, where ``gatewayd.yaml`` is missing or faulty; all other faults
    stand in ``Config.faults``, by file and line. A faulty account is left out, a faulty operator kept without matching.
    """
    folder = folder.absolute()
    found = main.main(folder)
    if found.state:
        enter(found.state)
    return FolderReading(folder, found, registry or found.registry(tries), Fallbacks()).config()


def plugins_of(folder: Path, *, enter: Callable[[Path], None], tries: Trials) -> Registry:
    """Load the plugins that a config folder names, as far as it can be read: they can be looked at before there is a config."""
    try:
        found = main.main(folder.absolute())
    except ConfigError:
        return loading.load(tries=tries)
    if found.state:
        enter(found.state)
    return found.registry(tries)


def shown(path: Path, folder: Path) -> str:
    """Return how a fault names a file: relative to the config folder where it lies in it."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


class Fallbacks:
    """What may stand in for files that are faulty. This one has nothing."""

    def files(self, group: str) -> Sequence[str]:
        """Return what ``operators`` or ``accounts`` is known to hold, where it can't be listed."""
        del group
        return ()

    def copy(self, file: str) -> Path | None:
        """Return where a copy of a file lies, if there is one, sound or not."""
        del file
        return None

    def operator(self, name: str, registry: Registry) -> OperatorConfig | None:
        """Return a value for an operator whose copy is of no use either."""
        del name, registry
        return None

    def account(self, name: str, registry: Registry, operators: Mapping[str, OperatorConfig]) -> AccountConfig | None:
        """Return a value for an account whose copy is of no use either."""
        del name, registry, operators
        return None


class FolderReading:
    """One reading of a config folder."""

    def __init__(self, folder: Path, main: Main, registry: Registry, instead: Fallbacks) -> None:
        self._folder = folder
        self._main = main
        self._registry = registry
        self._instead = instead
        self._faults: list[Fault] = []
        self._checkers: dict[str, Checker] = {}
        self._standing_in: list[str] = []
        self._secrets: list[SecretUse] = []
        self._digests: dict[str, str] = {}

    def config(self) -> Config:
        """Read all files; raises ConfigError where ``gatewayd.yaml`` is faulty."""
        found, state, store = self._main.found, self._main.state, self._main.store(self._registry)
        told = notify(self._main.checker, self._registry)
        self._keep_secrets(self._main.checker)
        operators = self._operators()
        accounts = self._accounts(operators)
        self._between(accounts, operators)
        self._faults += [fault for one in self._checkers.values() for fault in (*one.faults, *one.lesser_faults)]
        if self._main.checker.faults or found is None or state is None or store is None:
            raise main.refused(self._main.checker.faults + self._faults)
        through(self._main.checker, told[0] if told else None, accounts)
        self._faults += self._main.checker.lesser_faults
        self._digests[main.FILE] = self._main.checker.document.digest
        self._plugins(_used(operators, accounts) | {("stores", store[0])}, found.plugins.without)
        return Config(
            folder=self._folder,
            state=state,
            store_kind=store[0],
            store_options=store[1],
            plugins_folder=self._main.plugins_folder,
            registry=self._registry,
            signing_key=found.signing_key,
            operators=operators,
            accounts=accounts,
            workers=found.workers,
            limits=found.limits,
            log=found.log,
            administrators={name: one.email for name, one in found.administrators.items()},
            notify=told[0] if told else None,
            notify_options=told[1] if told else None,
            metrics=found.metrics,
            faults=tuple(sorted(self._faults)),
            standing_in=tuple(sorted(self._standing_in)),
            secrets=tuple(self._secrets),
            digests=self._digests,
        )

    def _operators(self) -> dict[str, OperatorConfig]:
        check = partial(operator, registry=self._registry)
        found: dict[str, OperatorConfig] = {}
        for name, file in self._files("operators"):
            found[name] = self._settled(file, check, partial(self._instead.operator, name, self._registry))
        return found

    def _accounts(self, operators: Mapping[str, OperatorConfig]) -> dict[str, AccountConfig]:
        check = partial(account, registry=self._registry, operators=operators)
        found: dict[str, AccountConfig] = {}
        for name, file in self._files("accounts"):
            one = self._settled(file, check, partial(self._instead.account, name, self._registry, operators))
            found |= {name: one} if one else {}
        return found

    def _between(self, accounts: Mapping[str, AccountConfig], operators: Mapping[str, OperatorConfig]) -> None:
        by_name: dict[str, dict[str, Checker]] = {group: {} for group in ("operators", "accounts")}
        for file, checker in self._checkers.items():
            group, _, name = file.removesuffix(".yaml").partition("/")
            by_name[group][name] = checker
        between = CrossCheck(accounts=accounts, operators=operators, files=frozenset(by_name["accounts"]), registry=self._registry)
        for name, checker in by_name["operators"].items():
            between.operator(checker, name)
        between.systems(by_name["accounts"])
        between.mailboxes(by_name["accounts"])
        between.queues(by_name["accounts"])

    def _files(self, group: str) -> list[tuple[str, str]]:
        """Return names and files of all operators or accounts, by name."""
        try:
            found, faults = names(self._folder / group)
        except Unreadable as error:
            found, faults = [*self._instead.files(group)], [*error.args]
        self._faults += faults
        return sorted((file.rpartition("/")[2].removesuffix(".yaml"), file) for file in found)

    def _settled(self, file: str, check: Callable[[Checker], _Value], instead: Callable[[], _Value | None]) -> _Value:
        """Return what a file says, or what stands in for it if it is faulty, or what the check makes of a faulty one."""
        checker = Checker(read(file, folder=self._folder), folder=self._folder)
        found = check(checker)
        self._checkers[file] = checker
        self._keep_secrets(checker)
        self._digests[file] = "" if checker.faults else checker.document.digest
        if not checker.faults:
            return found
        other = self._copied(file, check)
        if other is None:
            other = instead()
        if other is None:
            return found
        self._standing_in.append(file)
        return other

    def _copied(self, file: str, check: Callable[[Checker], _Value]) -> _Value | None:
        copy = self._instead.copy(file)
        if copy is None:
            return None
        checker = Checker(read(file, folder=self._folder, copy=copy), folder=self._folder)
        found = check(checker)
        return None if checker.faults else found

    def _keep_secrets(self, checker: Checker) -> None:
        for (line, column), secret in checker.document.secrets:
            self._secrets.append(SecretUse(file=checker.document.file, line=line, column=column, secret=secret))

    def _plugins(self, used: set[tuple[str, str]], without: Sequence[str]) -> None:
        """Tell of plugins that are out of use, and of single files that run as they were before.

        One that is gone and that nobody uses may go.
        """
        for plugin in self._registry.plugins:
            if plugin.error and not plugin.left_out:
                self._faults.append(self._fault(plugin, f"the plugin {plugin.name} is out of use: {plugin.error}"))
            elif plugin.path and plugin.fault and (plugin.fault != loading.GONE or used & set(plugin.offers)):
                self._faults.append(self._fault(plugin, plugin.fault))
                self._standing_in.append(shown(plugin.path, self._folder))
        known = {name for plugin in self._registry.plugins for name in plugin.names}
        for index, word in enumerate(without):
            if word not in known:
                what = f"plugins.without[{index}]: there is no plugin {word!r}{hint(word, known)}"
                self._faults.append(self._main.checker.document.fault(("plugins", "without", index), what))

    def _fault(self, plugin: LoadedPlugin, what: str) -> Fault:
        if plugin.path is None:
            return Fault(file=f"plugin {plugin.name} ({plugin.source})", what=what)
        at = plugin.spot if plugin.spot and plugin.spot.file == str(plugin.path) else None
        return Fault(file=shown(plugin.path, self._folder), line=at.line if at else 0, column=at.column if at else 0, what=what)


def _used(operators: Mapping[str, OperatorConfig], accounts: Mapping[str, AccountConfig]) -> set[tuple[str, str]]:
    """Return role and kind of every plugin that operators and accounts use."""
    matchers = {("matchers", kind) for one in operators.values() for kind, _ in one.matchers}
    directories = {("directories", one.directory_kind) for one in operators.values() if one.directory_kind}
    forwarders = {("forwarders", target.kind) for one in operators.values() for target in one.targets.values()}
    both = {(role, one.kind) for one in accounts.values() for role in ("transports", "forwarders")}
    return matchers | directories | forwarders | both
