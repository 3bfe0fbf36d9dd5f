"""Read the config folder into one ``Config`` value. Every fault is found at once, as file:line:column.

A fault of one never stops the others: a faulty account is left out, a faulty operator is kept without matching. Only
faults of ``gatewayd.yaml`` refuse the whole. Secrets stay references; ``secret_faults`` tries them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd import plugins
from gatewayd.config.account import account
from gatewayd.config.check import Checker
from gatewayd.config.documents import read
from gatewayd.config.models import NAME, GatewaydFile
from gatewayd.config.operator import operator
from gatewayd.config.values import AccountConfig, Config, ImportConfig, OperatorConfig, SecretUse, UserConfig
from gatewayd.errors import AuthError, ConfigError, Fault
from gatewayd.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.config.documents import Document
    from gatewayd.plugins import Registry

__all__ = [
    "AccountConfig",
    "Config",
    "ImportConfig",
    "OperatorConfig",
    "SecretUse",
    "UserConfig",
    "load",
    "secret_faults",
]

_MAIN = "gatewayd.yaml"


def load(folder: Path, registry: Registry | None = None) -> Config:
    """Read the config folder. Plugins are loaded from where ``gatewayd.yaml`` says, or are those of ``registry``.

    Raises ConfigError, with every fault that was found, where ``gatewayd.yaml`` is missing or faulty; all other faults
    stand in ``Config.faults``, by file and line.
    """
    folder = folder.absolute()
    document = _main(folder)
    checker = Checker(document, folder=folder)
    found = checker.model(GatewaydFile, document.data, ())
    plugins_folder = _plugins_folder(checker, folder)
    if registry is None:
        registry = plugins.load(plugins_folder)
    state = _state(checker, folder)
    store = _store(checker, registry)
    documents = [document]
    faults: list[Fault] = []
    operators: dict[str, OperatorConfig] = {}
    for path in _files(folder / "operators", faults):
        documents.append(read(path, folder=folder))
        operators[path.stem] = operator(Checker(documents[-1], folder=folder), registry, faults)
    accounts: dict[str, AccountConfig] = {}
    for path in _files(folder / "accounts", faults):
        documents.append(read(path, folder=folder))
        one = account(Checker(documents[-1], folder=folder), registry, operators, faults)
        accounts |= {one.name: one} if one else {}
    if checker.faults or found is None or state is None or store is None:
        raise _refused(checker.faults + faults)
    return Config(
        folder=folder,
        state=state,
        store_kind=store[0],
        store_options=store[1],
        plugins_folder=plugins_folder,
        registry=registry,
        operators=operators,
        accounts=accounts,
        faults=tuple(sorted(faults)),
        secrets=tuple(use for one in documents for use in _secrets(one)),
    )


def secret_faults(config: Config) -> tuple[Fault, ...]:
    """Return a fault for every reference to a secret that can't be revealed now. Reads the secrets, keeps none."""
    faults = []
    for use in config.secrets:
        try:
            use.secret.reveal()
        except AuthError as error:
            what = f"{error.message}. {error.advice}"
            faults.append(Fault(file=use.file, line=use.line, column=use.column, what=what))
    return tuple(faults)


def _refused(faults: list[Fault]) -> ConfigError:
    return ConfigError(f"{_MAIN} is faulty", faults=sorted(faults), advice="Correct it; `gatewayd check` tells when it is right.")


def _main(folder: Path) -> Document:
    """Read ``gatewayd.yaml``; raises ConfigError where there is nothing to go on with."""
    if not _is_folder(folder):
        raise ConfigError(f"there is no config folder {folder}", advice="Name it with --config FOLDER.")
    path = folder / _MAIN
    if not os.path.lexists(path):
        fault = Fault(file=_MAIN, what="missing, expected it in the config folder; it may be empty where $STATE_DIRECTORY is set")
        raise ConfigError(f"{folder} has no {_MAIN}", faults=[fault], advice="Name the config folder with --config FOLDER.")
    document = read(path, folder=folder)
    if () in document.faulty:
        raise _refused(list(document.faults))
    return document


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        # Not allowed to look, too long a name, a NUL in it.
        return False


def _plugins_folder(checker: Checker, folder: Path) -> Path | None:
    """Return the folder of single-file plugins; raises ConfigError where it can't be had: every kind would seem unknown."""
    block = checker.document.data.get("plugins")
    if block is None:
        return None
    name = block.get("folder") if isinstance(block, dict) else None
    if isinstance(name, str):
        found = Path(folder, name)
        if name and _is_folder(found):
            return found
        checker.fault(("plugins", "folder"), f"plugins.folder: there is no folder {name!r}")
    raise _refused(checker.faults)


def _state(checker: Checker, folder: Path) -> Path | None:
    name = checker.document.data.get("state")
    if isinstance(name, str):
        return Path(folder, name)
    # systemd gives several folders separated by colons (systemd.exec(5)); the first is ours.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not given and "state" not in checker.document.data:
        checker.fault((), "missing key 'state', expected it here, or a folder in $STATE_DIRECTORY")
    return Path(given).absolute() if given else None


def _store(checker: Checker, registry: Registry) -> tuple[str, Store.Options] | None:
    mapping = checker.document.data.get("store", {"kind": "sql"})
    if not isinstance(mapping, dict):
        return None
    return checker.plugin(registry, Store, mapping, ("store",))


def _files(folder: Path, faults: list[Fault]) -> Iterator[Path]:
    """Yield the YAML files of a folder by name; what people's editors leave behind is ignored."""
    try:
        names = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        faults.append(Fault(file=folder.name, what=f"can't be read: {error.strerror}"))
        return
    for name in names:
        path = folder / name
        if name.startswith(".") or name.endswith("~") or (name.startswith("#") and name.endswith("#")):
            continue
        if path.suffix == ".yaml" and NAME.fullmatch(path.stem):
            yield path
        else:
            what = "a file name that is not expected here, expected one such as sales.yaml (a-z, 0-9, - _ . and then .yaml)"
            faults.append(Fault(file=f"{folder.name}/{name}", what=what))


def _secrets(document: Document) -> Iterator[SecretUse]:
    for (line, column), secret in document.secrets:
        yield SecretUse(file=document.file, line=line, column=column, secret=secret)
