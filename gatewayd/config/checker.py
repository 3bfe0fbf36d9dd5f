"""Check one file of the config against models, and its kinds against the plugins; collect the faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from gatewayd.api.roles import Plugin
from gatewayd.config.faults import dotted, hint, translated
from gatewayd.config.models.fields import yaml_keys
from gatewayd.errors import GatewaydError, PluginError, enumerated, without_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gatewayd.config.yaml_documents import Document, YamlPath
    from gatewayd.errors import Fault
    from gatewayd.registry.loading import Registry

__all__ = ["Checker"]

_Model = TypeVar("_Model", bound=BaseModel)
_Role = TypeVar("_Role", bound=Plugin)
_Built = TypeVar("_Built")


class Checker:
    """Checks one document and collects its ``faults``; methods return None where there was one.

    A fault that costs only a part of the file is in ``lesser_faults``: the file is used all the same.
    """

    def __init__(self, document: Document, *, folder: Path) -> None:
        self.document = document
        self.faults: list[Fault] = list(document.faults)
        self.lesser_faults: list[Fault] = []
        self._context = {"folder": folder}

    def fault(self, place: YamlPath, what: str, *, key: bool = False) -> None:
        """Add a fault, unless the place has one already."""
        if not self.document.spoilt(place):
            self.faults.append(self.document.fault(place, what, key=key))

    def lesser(self, place: YamlPath, what: str) -> None:
        """Add a fault that costs only a part of the file."""
        if not self.document.spoilt(place):
            self.lesser_faults.append(self.document.fault(place, what))

    def model(
        self, model: type[_Model], data: Mapping[str, object], place: YamlPath, *, beside: Sequence[type[BaseModel]] = ()
    ) -> _Model | None:
        """Validate ``data``, which is at ``place`` in the file; ``beside`` are models that share the mapping."""
        try:
            found = model.model_validate(data, context=self._context)
        except ValidationError as error:
            self.faults += translated(error, self.document, place, (model, *beside))
            return None
        except Exception as error:  # noqa: BLE001  a plugin's own validator may raise anything
            self._broken(place, error)
            return None
        return None if self.document.spoilt_within(place) else found

    def _broken(self, place: YamlPath, error: Exception) -> None:
        self.fault(place, f"the plugin itself fails on these options: {without_text(error)}")

    def shared(
        self, kernel: type[_Model], options: type[Plugin.Options] | None, given: Mapping[str, object]
    ) -> tuple[_Model | None, Plugin.Options | None]:
        """Check a whole file that the kernel's fields and those of a plugin share; without ``options`` only the kernel's.

        Where both know a field, it is the kernel's. ``given`` are values of the plugin's fields in place of the file's.
        """
        data = self.document.data
        names = yaml_keys(kernel)
        own = {key: value for key, value in {"kind": "", **data}.items() if key in names}
        found = self.model(kernel, own, (), beside=(options,) if options else ())
        rest = {**{key: value for key, value in data.items() if key not in names}, **given}
        return found, self.model(options, rest, (), beside=(kernel,)) if options else None

    def kind(self, registry: Registry, role: type[_Role], word: str, place: YamlPath) -> type[_Role] | None:
        """Return the class that a plugin offers as ``word``."""
        kinds = registry.kinds(role)
        if word in kinds:
            return self.offered(registry, role, word, place)
        self.unknown(registry, role.__name__.lower(), word, kinds, place)
        return None

    def offered(self, registry: Registry, role: type[_Role], word: str, place: YamlPath) -> type[_Role] | None:
        """Return the class of a kind that there is, if its plugin can be imported here, too."""
        try:
            return registry.get(role, word)
        except PluginError as error:
            self.fault(place, f"{word!r} can't be used: {error.sentences}")
            return None

    def unknown(self, registry: Registry, what: str, word: str, kinds: Sequence[str], place: YamlPath) -> None:
        """Report that no plugin offers ``word``; ``kinds`` are those that there are."""
        failed = [f"{plugin.name} ({plugin.error})" for plugin in registry.plugins if plugin.error and not plugin.left_out]
        failed += [f"{plugin.name} ({plugin.error})" for plugin in registry.plugins if plugin.left_out and word in plugin.names]
        advice = hint(word, kinds)
        if failed and "did you mean" not in advice:
            advice += f"; out of use: {', '.join(failed)}"
        self.fault(place, f"unknown {what} {word!r}{advice}")

    def named(self, registry: Registry, role: type[_Role], mapping: Mapping[str, object], place: YamlPath) -> type[_Role] | None:
        """Return the class that the ``kind`` of a mapping names."""
        word = mapping.get("kind")
        if isinstance(word, str):
            return self.kind(registry, role, word, (*place, "kind"))
        kinds = enumerated(map(repr, registry.kinds(role)))
        self.fault((*place, "kind"), f"missing key {dotted((*place, 'kind'))!r}, expected {kinds or 'the kind of a plugin'}")
        return None

    def plugin(
        self, registry: Registry, role: type[_Role], mapping: Mapping[str, object], place: YamlPath
    ) -> tuple[str, Plugin.Options] | None:
        """Check a mapping of a ``kind`` and its options; return both."""
        offered = self.named(registry, role, mapping, place)
        rest = {key: value for key, value in mapping.items() if key != "kind"}
        options = self.model(offered.Options, rest, place) if offered else None
        return None if offered is None or options is None else (offered.kind, options)

    def tried(self, place: YamlPath, build: Callable[[], _Built]) -> _Built | None:
        """Return what a plugin makes of options that are right one by one."""
        try:
            return build()
        except GatewaydError as error:
            self.fault(place, f"{dotted(place)}: {error.sentences}")
        except Exception as error:  # noqa: BLE001  a plugin's own code may raise anything
            self._broken(place, error)
        return None
