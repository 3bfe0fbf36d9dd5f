"""Compare two configs: which accounts and operators changed and must be restarted.

An account or operator is unchanged if its values and the code of its plugins are. Values alone are not enough: code can change
while the options stay the same. Code that is loaded again unchanged keeps its classes, so its options are equal; changed code
has new classes, and their options never equal those of the old ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import BaseModel

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Directory, Matcher, Transport
from gatewayd.api.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd.config.values import AccountConfig, Config, OperatorConfig
    from gatewayd.registry.loading import Registry

__all__ = ["Changes", "changes", "digest", "fingerprint_of", "kept", "watched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The differences between two configs. All names are sorted."""

    accounts_added: tuple[str, ...] = ()
    accounts_removed: tuple[str, ...] = ()
    #: Accounts whose file changed, or whose transport or forwarder has other code.
    accounts_changed: tuple[str, ...] = ()
    #: Operators that are new, gone, or different: in their file, or in the code of their directory, a matcher or a forwarder.
    operators_changed: tuple[str, ...] = ()
    #: Keys of gatewayd.yaml whose change waits for a restart.
    restart: tuple[str, ...] = ()


def changes(old: Config, new: Config) -> Changes:
    """Return the differences between two configs."""
    accounts = old.accounts.keys() & new.accounts.keys()
    operators = old.operators.keys() | new.operators.keys()
    store = [(one.store_kind, one.store_options, one.registry.fingerprint(Store, one.store_kind)) for one in (old, new)]
    waits = {
        "state": old.state != new.state,
        "store": store[0] != store[1],
        "signing_key": old.signing_key != new.signing_key,
        "limits": old.limits != new.limits,
        "metrics": old.metrics != new.metrics,
    }
    return Changes(
        accounts_added=tuple(sorted(new.accounts.keys() - old.accounts.keys())),
        accounts_removed=tuple(sorted(old.accounts.keys() - new.accounts.keys())),
        accounts_changed=tuple(sorted(name for name in accounts if _account(old, name) != _account(new, name))),
        operators_changed=tuple(sorted(name for name in operators if _operator(old, name) != _operator(new, name))),
        restart=tuple(key for key, differs in waits.items() if differs),
    )


def kept(old: Config, new: Config) -> Config:
    """Return ``new`` to run until the restart: what ``Changes.restart`` names is as in ``old``."""
    return replace(
        new,
        state=old.state,
        store_kind=old.store_kind,
        store_options=old.store_options,
        signing_key=old.signing_key,
        limits=old.limits,
        metrics=old.metrics,
    )


def watched(config: Config) -> tuple[Path, ...]:
    """Return the folders with files of the config; folders below them don't count. Ask again after each change.

    A file that is a link is followed by name only: a change behind it is taken over at the next SIGHUP.
    """
    folders = [config.folder, config.folder / "operators", config.folder / "accounts"]
    folders += [config.plugins_folder] if config.plugins_folder else []
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def fingerprint_of(operator: OperatorConfig, registry: Registry) -> Mapping[str, str]:
    """Return for each matcher of an operator, and for its ``directory``, a SHA-256 of all that its findings depend on.

    That is the matcher's code and options, the directory's code and options, and what a matcher sees of the operator. It is
    the same in every process, is made of references to secrets only, and is kept by the store to notice a change.
    """
    directory = ""
    if operator.directory_kind:
        code = registry.fingerprint(Directory, operator.directory_kind)
        directory = digest(operator.directory_kind, code, operator.directory_options)
    seen = (operator.name, operator.title, operator.brands, directory)
    found = {kind: digest(kind, registry.fingerprint(Matcher, kind), options, *seen) for kind, options in operator.matchers}
    return ({"directory": directory} if directory else {}) | found


def _account(config: Config, name: str) -> tuple[AccountConfig, Sequence[str]]:
    one = config.accounts[name]
    return one, [config.registry.fingerprint(role, one.kind) for role in (Transport, Forwarder)]


def _operator(config: Config, name: str) -> tuple[OperatorConfig, Mapping[str, str], Sequence[str]] | None:
    one = config.operators.get(name)
    if one is None:
        return None
    forwarders = [config.registry.fingerprint(Forwarder, target.kind) for target in one.targets.values()]
    return one, fingerprint_of(one, config.registry), forwarders


def digest(*values: object) -> str:
    """Return a SHA-256 of values of a config: the same in every process. Of secrets only the references count."""
    return hashlib.sha256(_text(values).encode(errors="surrogatepass")).hexdigest()


def _text(value: object) -> str:
    """Return a value as text that is the same in every process; ``repr`` alone shows memory addresses, and sets in any order."""
    if isinstance(value, BaseModel):
        return _text({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(key)}:{_text(inner)}" for key, inner in value.items())) + "}"
    if isinstance(value, AbstractSet):
        return "(" + ",".join(sorted(map(_text, value))) + ")"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    return type(value).__qualname__ if type(value).__repr__ is object.__repr__ else repr(value)
