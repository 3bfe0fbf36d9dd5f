"""Read all files of the config folder into one `Config`, and decide what runs in place of a faulty file: its last accepted
copy, or what runs.

A fault of one file never stops another: a faulty one is left out, or a fallback runs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gatewayd.config import main
from gatewayd.config.account import account
from gatewayd.config.checker import Checker
from gatewayd.config.credentials import shared_credentials
from gatewayd.config.cross_checks import CrossCheck
from gatewayd.config.faults import hint
from gatewayd.config.files import Unreadable, names
from gatewayd.config.operator import operator
from gatewayd.config.values import AccountConfig, Config, OperatorConfig, SecretUse
from gatewayd.config.yaml_documents import read
from gatewayd.errors import Fault
from gatewayd.registry import loading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.config.fallbacks import Fallbacks
    from gatewayd.config.main import Main
    from gatewayd.config.models.main import NotifyConfig
    from gatewayd.registry.loading import LoadedPlugin, Registry

__all__ = ["FolderReading", "shown"]

_Value = TypeVar("_Value")


def shown(path: Path, folder: Path) -> str:
    """Return a file's name in faults: relative to the config folder if it is in there."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


class FolderReading:
    """One reading of a config folder."""

    def __init__(self, main: Main, registry: Registry, fallbacks: Fallbacks) -> None:
        self._folder = main.folder
        self._main = main
        self._registry = registry
        self._fallbacks = fallbacks
        self._credentials = shared_credentials(main.checker, registry)
        self._faults: list[Fault] = []
        self._checkers: dict[str, Checker] = {}
        self._standing_in: list[str] = []
        self._secrets: list[SecretUse] = []
        self._digests: dict[str, str] = {}
        self._keep_secrets(self._main.checker)

    def config(self) -> Config:
        """Read all files; raises ConfigError where ``gatewayd.yaml`` is faulty."""
        found, state, (store, web_store) = self._main.found, self._main.state, self._main.stores(self._registry)
        notify, notify_options = self._main.notify(self._registry)
        operators = self._operators()
        accounts = self._accounts(operators)
        self._between(operators, accounts, notify)
        if self._main.checker.faults or found is None or state is None or store is None:
            raise main.refused(self._main.checker.faults + self._faults)
        self._plugins(_used(operators, accounts) | {("stores", one[0]) for one in (store, web_store) if one}, found.plugins.without)
        return Config(
            folder=self._folder,
            state=state,
            store_kind=store[0],
            store_options=store[1],
            plugins_folder=self._main.plugins_folder,
            registry=self._registry,
            signing_key=found.signing_key,
            sealing_key=found.sealing_key,
            old_sealing_keys=found.old_sealing_keys,
            operators=operators,
            accounts=accounts,
            credentials={name: one for name, one in self._credentials.items() if one},
            workers=found.workers,
            limits=found.limits,
            accounts_of_users=found.accounts_of_users,
            log=found.log,
            administrators={name: one.email for name, one in found.administrators.items()},
            notify=notify,
            notify_options=notify_options,
            metrics=found.metrics,
            time_zone=found.time_zone,
            web=found.web,
            web_store=web_store,
            faults=tuple(sorted(self._faults + self._main.checker.lesser_faults)),
            standing_in=tuple(sorted(self._standing_in)),
            secrets=tuple(self._secrets),
            digests={**self._digests, main.FILE: self._main.checker.document.digest},
        )

    def _between(
        self, operators: Mapping[str, OperatorConfig], accounts: Mapping[str, AccountConfig], notify: NotifyConfig | None
    ) -> None:
        """Check operators and accounts against each other, and keep the faults of all their files."""
        between = CrossCheck(accounts=accounts, operators=operators, checkers=self._checkers, registry=self._registry)
        between.check()
        between.notify(self._main.checker, notify)
        self._faults += [fault for one in self._checkers.values() for fault in (*one.faults, *one.lesser_faults)]

    def _operators(self) -> dict[str, OperatorConfig]:
        check, previous = partial(operator, registry=self._registry), partial(self._fallbacks.operator, registry=self._registry)
        return {name: self._settled(file, check, partial(previous, name)) for name, file in self._files("operators")}

    def _accounts(self, operators: Mapping[str, OperatorConfig]) -> dict[str, AccountConfig]:
        zone = self._main.found.time_zone if self._main.found else "UTC"
        check = partial(account, registry=self._registry, operators=operators, credentials=self._credentials, time_zone=zone)
        previous = partial(self._fallbacks.account, registry=self._registry, operators=operators)
        found = {name: self._settled(file, check, partial(previous, name)) for name, file in self._files("accounts")}
        return {name: one for name, one in found.items() if one}

    def _files(self, group: str) -> list[tuple[str, str]]:
        """Return names and files of all operators or accounts, by name."""
        try:
            found, faults = names(self._folder / group)
        except Unreadable as error:
            found, faults = [*self._fallbacks.files(group)], [*error.args]
        self._faults += faults
        return sorted((file.rpartition("/")[2].removesuffix(".yaml"), file) for file in found)

    def _settled(self, file: str, check: Callable[[Checker], _Value], previous: Callable[[], _Value | None]) -> _Value:
        """Return the value of a file. For a faulty file: that of its copy, else ``previous()``, else what ``check`` makes of it."""
        checker = Checker(read(file, folder=self._folder), folder=self._folder)
        found = check(checker)
        self._checkers[file] = checker
        self._keep_secrets(checker)
        self._digests[file] = "" if checker.faults else checker.document.digest
        if not checker.faults:
            return found
        fallback = None
        if copy := self._fallbacks.copy(file):
            checker = Checker(read(file, folder=self._folder, copy=copy), folder=self._folder)
            copied = check(checker)
            fallback = None if checker.faults else copied
        if fallback is None:
            fallback = previous()
        if fallback is None:
            return found
        self._standing_in.append(file)
        return fallback

    def _keep_secrets(self, checker: Checker) -> None:
        for (line, column), secret in checker.document.secrets:
            self._secrets.append(SecretUse(file=checker.document.file, line=line, column=column, secret=secret))

    def _plugins(self, used: set[tuple[str, str]], without: Sequence[str]) -> None:
        """Report plugins that are out of use, and single files that run as they were before, unless they are gone and unused."""
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
