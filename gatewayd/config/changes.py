"""What a new config changes for those who run: only they are restarted, and nobody else notices.

An account or operator is as it was if its values are equal and so is the code of its plugins. Values alone would not do:
code that changed may leave the options as they were. Code that is loaded again unchanged has the same classes, and so its
options are equal; code that changed has new ones, whose options equal no older ones.
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
    """What is different in a new config. All names are sorted."""

    accounts_added: tuple[str, ...] = ()
    accounts_removed: tuple[str, ...] = ()
    #: Accounts whose file says something else, or whose transport or forwarder has other code.
    accounts_changed: tuple[str, ...] = ()
    #: Operators that are new, gone, or different: in their file, or in the code of their directory, a matcher or a forwarder.
    operators_changed: tuple[str, ...] = ()
    #: Keys of gatewayd.yaml whose change waits for a restart.
    restart: tuple[str, ...] = ()


def changes(old: Config, new: Config) -> Changes:
    """Return what is different in ``new``."""
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
    """Return ``new`` with what ``Changes.restart`` tells of as it is in ``old``: what to run until the restart."""
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
    """Return the folders whose files make the config, each without what lies below it. Ask again after each change.

    A file that is a link is followed by name only: what changes behind it is taken over at the next SIGHUP.
    """
    folders = [config.folder, config.folder / "operators", config.folder / "accounts"]
    folders += [config.plugins_folder] if config.plugins_folder else []
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def fingerprint_of(operator: OperatorConfig, registry: Registry) -> Mapping[str, str]:
    """Return for each matcher of an operator what its findings hang on, as a SHA-256; and so for its ``directory``.

    That is the matcher's code and options, the directory's code and options, and what a matcher sees of the operator. It is
    the same in every process, holds references to secrets only, and is kept by the store to tell that something changed.
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
    """Return what tells values of a config from others, as a SHA-256: the same in every process, of secrets their references."""
    return hashlib.sha256(_text(values).encode(errors="surrogatepass")).hexdigest()


def _text(value: object) -> str:
    """Return a value as text that is the same in every process; ``repr`` alone tells addresses, and sets in any order."""
    if isinstance(value, BaseModel):
        return _text({name: getattr(value, name) for name in type(value).model_fields})
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(key)}:{_text(inner)}" for key, inner in value.items())) + "}"
    if isinstance(value, AbstractSet):
        return "(" + ",".join(sorted(map(_text, value))) + ")"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    return type(value).__qualname__ if type(value).__repr__ is object.__repr__ else repr(value)
