"""Plugins that do nothing but have options."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import Field, field_validator

from gatewayd import (
    ConfigError,
    ConfigPath,
    Consent,
    Credential,
    Directory,
    Forwarder,
    Matcher,
    Operator,
    Secret,
    Store,
    TokenEndpoint,
    Transport,
    hookimpl,
)
from gatewayd.api.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

_Class = TypeVar("_Class", bound=type)


def whole(cls: _Class) -> _Class:
    """Make a class that can be built, of a role whose methods are of no interest here."""
    vars(type)["__abstractmethods__"].__set__(cls, frozenset())
    return cls


class Nest(Options):
    """Where pigeons sleep."""

    straw: int = 0

    @field_validator("straw")
    @classmethod
    def _counted(cls, straw: int) -> int:
        return {0: 0, 1: 1}[straw]


@whole
class Pigeon(Transport):
    """Carries mail by air."""

    kind = "pigeon"

    class Options(Transport.Options):
        loft: str
        ring: Secret
        grain: ConfigPath | None = None
        tricks: dict[str, int] = Field(default={})
        height: float = 1.0
        nest: Nest | None = None

        @property
        def token_use(self) -> None:
            if self.loft == "attic":
                raise KeyError(self.loft)


@whole
class Snail(Pigeon):
    kind = "snail"
    max_sessions = 1
    tells_arrival = False


@whole
class Post(Forwarder):
    """Carries mail away."""

    kind = "post"
    sends_mail = True

    class Options(Forwarder.Options):
        town: str


@whole
class Bell(Forwarder):
    """Rings where mail came."""

    kind = "bell"

    class Options(Forwarder.Options):
        tune: str
        key: Secret | None = None


@whole
class Parrot(Pigeon):
    """Hears and speaks."""

    kind = "parrot"

    def group(self) -> str:
        return {"roof": "parrots"}[dict(self.options)["loft"]]


@whole
class Speaking(Forwarder):
    """Hears and speaks."""

    kind = "parrot"
    sends_mail = True
    modes = ("attached", "as is")
    # The same for both.
    Options = Parrot.Options  # type: ignore[assignment]


@whole
class Goose(Pigeon):
    kind = "goose"


@whole
class Gander(Forwarder):
    kind = "goose"
    sends_mail = True


@whole
class Heron(Transport):
    """Takes a password or a token."""

    kind = "heron"

    class Options(Transport.Options, TokenEndpoint):
        ports = {"tls": 1}  # noqa: RUF012  nobody changes it


@whole
class Unnamed(Consent):
    """Can't say whose consents it has."""

    @property
    def identity(self) -> Mapping[str, str]:
        raise KeyError("4711")


@whole
class Numbered(Consent):
    """Says so by something else than texts."""

    @property
    def identity(self) -> Mapping[str, str]:
        return {"client": 4711}  # type: ignore[dict-item]


@whole
class Seal(Credential):
    """Vouches for herons."""

    kind = "seal"

    class Options(Credential.Options):
        wax: Secret
        colour: str = "red"

    def __init__(self, options: Seal.Options) -> None:
        super().__init__(options)
        self.ink = {"red": 1, "green": 2, "blue": 3, "grey": 4}[options.colour]

    def consent(self) -> Consent | None:
        made = {"blue": Unnamed, "grey": Numbered}.get(dict(self.options)["colour"])
        return made() if made else None  # type: ignore[abstract]  # see ``whole``


@whole
class Cards(Directory):
    kind = "cards"

    class Options(Directory.Options):
        folder: ConfigPath


@whole
class Names(Matcher):
    kind = "names"


@whole
class Numbers(Matcher):
    kind = "numbers"

    class Options(Matcher.Options):
        digits: tuple[int, ...] = (4,)

    def __init__(self, options: Numbers.Options, *, operator: Operator) -> None:
        super().__init__(options, operator=operator)
        if 13 in options.digits:
            raise ConfigError("13 digits bring bad luck")
        self.shortest = min(options.digits)


@whole
class Paper(Store):
    kind = "paper"


@hookimpl
def gatewayd_transports() -> list[type]:
    return [Pigeon, Snail, Parrot, Goose, Heron]


@hookimpl
def gatewayd_credentials() -> list[type]:
    return [Seal]


@hookimpl
def gatewayd_forwarders() -> list[type]:
    return [Post, Bell, Speaking, Gander]


@hookimpl
def gatewayd_directories() -> list[type]:
    return [Cards]


@hookimpl
def gatewayd_matchers() -> list[type]:
    return [Names, Numbers]


@hookimpl
def gatewayd_stores() -> list[type]:
    return [Paper]
