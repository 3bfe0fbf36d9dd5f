"""Read credentials: those of ``gatewayd.yaml``, which accounts share by their names, and one that an account's file has itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, TypeAlias, get_args

from gatewayd.api.credential import Credential
from gatewayd.api.token_source import TokenSource
from gatewayd.config.faults import hint
from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.roles import Plugin
    from gatewayd.config.checker import Checker
    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.registry.loading import Registry

__all__ = ["SharedCredentials", "account_credential", "shared_credentials", "takes_credential"]

#: By name; None for one that can't be used.
SharedCredentials: TypeAlias = dict[str, TokenSource | None]
_FIELD = "credential"


class _Faulty(Credential):
    """Stands for a faulty credential while the rest of its file is checked."""

    kind = "faulty"

    def obtain(self, user: str, resource: str) -> Never:
        """Never called: an account with a faulty credential does not run."""
        raise ConfigError(f"the credential of {user} for {resource} is faulty")


def shared_credentials(checker: Checker, registry: Registry) -> SharedCredentials:
    """Return the credentials of ``gatewayd.yaml``. A faulty one costs only the accounts that use it."""
    given = checker.document.data.get("credentials")
    found: SharedCredentials = {}
    for name, mapping in given.items() if isinstance(given, dict) else ():
        if isinstance(name, str) and isinstance(mapping, dict):
            found[name] = _shared(checker, registry, name, mapping)
    return found


def _shared(checker: Checker, registry: Registry, name: str, mapping: Mapping[str, object]) -> TokenSource | None:
    others = [*checker.faults]
    found = _built(checker, registry, mapping, ("credentials", name))
    checker.lesser_faults += checker.faults[len(others) :]
    checker.faults[:] = others
    return found


def _built(checker: Checker, registry: Registry, mapping: Mapping[str, object], place: YamlPath) -> TokenSource | None:
    found = checker.plugin(registry, Credential, mapping, place)
    return checker.tried(place, lambda: _source(registry.get(Credential, found[0])(found[1]))) if found else None


def _source(credential: Credential) -> TokenSource:
    """Return the tokens of a credential. Whose consents it has is asked for each config: a fault in that is told here."""
    source = TokenSource(credential)
    identity = source.consent.identity if source.consent else {}
    if not all(isinstance(word, str) for pair in identity.items() for word in pair):
        raise TypeError
    return source


def account_credential(
    checker: Checker, registry: Registry, shared: SharedCredentials, options: type[Plugin.Options]
) -> Mapping[str, TokenSource]:
    """Return the value of the field ``credential`` of an account's ``options``; nothing if the file or the options lack it."""
    given = checker.document.data.get(_FIELD)
    if not takes_credential(options) or not isinstance(given, str | dict):
        return {}
    found = _named(checker, shared, given) if isinstance(given, str) else _built(checker, registry, given, (_FIELD,))
    return {_FIELD: found or TokenSource(_Faulty(Credential.Options()))}


def takes_credential(options: type[Plugin.Options]) -> bool:
    """Whether these options have a field ``credential`` for a ``TokenSource``."""
    field = options.model_fields.get(_FIELD)
    return field is not None and TokenSource in (field.annotation, *get_args(field.annotation))


def _named(checker: Checker, shared: SharedCredentials, name: str) -> TokenSource | None:
    found = shared.get(name)
    if name not in shared:
        known = hint(name, shared) if shared else ", and gatewayd.yaml has no `credentials`"
        checker.fault((_FIELD,), f"unknown credential {name!r}{known}")
    elif found is None:
        checker.fault((_FIELD,), f"credential: {name!r} can't be used, see its fault in gatewayd.yaml")
    return found
