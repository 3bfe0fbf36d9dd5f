"""An authority made of a folder, and what plugins offer for it: also as a plugin of a single file. Processes can share it.

A refresh token is the name of a file in ``tokens``, which holds the person's name. Each is taken once: it is renamed to the next.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from gatewayd import (
    AuthError,
    Consent,
    ConsentEnded,
    ConsentRequest,
    Credential,
    DeviceCode,
    Grant,
    Token,
    TokenSource,
    TokenUse,
    TransientError,
    Transport,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import Session


class PaperOptions(Credential.Options):
    """What is written on the authority's door."""

    folder: str
    client: str = "a client"
    #: What becomes of a refresh token: it is renewed at each use, the old one stays besides, or it stays the only one.
    rotation: Literal["strict", "lenient", "none"] = "strict"
    device_code: bool = False


class PaperConsent(Consent):
    """Persons consent by writing a file."""

    def __init__(self, options: PaperOptions) -> None:
        self.options = options
        self.folder = Path(options.folder)

    @property
    def identity(self) -> Mapping[str, str]:
        return {"authority": "paper", "client": self.options.client}

    def link(self, request: ConsentRequest) -> str:
        return f"https://paper.example/?user={request.user}&state={request.state}&challenge={request.challenge}"

    def refused(self, request: ConsentRequest, error: str, words: str) -> AuthError:
        return AuthError(f"{request.user} says {error} {words}", advice="Ask nicely.")

    def consented(self, code: str, person: str, challenge: str = "") -> None:
        """Let a person consent: their code can be redeemed."""
        (self.folder / "codes").mkdir(parents=True, exist_ok=True)
        (self.folder / "codes" / code).write_text(f"{person} {challenge}")

    def revoke(self) -> None:
        """Take all refresh tokens back."""
        for path in (self.folder / "tokens").iterdir():
            path.unlink()

    @property
    def valid(self) -> list[str]:
        """The refresh tokens that are taken now."""
        return sorted(path.name for path in (self.folder / "tokens").iterdir())

    @property
    def given(self) -> list[str]:
        """All tokens that were ever given."""
        return (self.folder / "given").read_text().split()

    def _new(self, kind: str, tail: str = "") -> str:
        made = f"{kind}-{secrets.token_hex(16)}{tail}"
        with (self.folder / "given").open("a") as given:
            given.write(f"{made}\n")
        return made

    def redeem(self, request: ConsentRequest, code: str) -> Grant:
        path = self.folder / "codes" / code
        person, _, challenge = path.read_text().partition(" ")
        if challenge and challenge != request.challenge:
            raise AuthError("the verifier does not fit", advice="Run the command again.")
        path.unlink()
        return self._given(person)

    def _given(self, person: str) -> Grant:
        (self.folder / "tokens").mkdir(parents=True, exist_ok=True)
        refresh = self._new("refresh")
        (self.folder / "tokens" / refresh).write_text(person)
        return Grant(Token(self._new("access", f"-{person}"), lasts=3600.0), refresh)

    def names(self, grant: Grant) -> Sequence[str]:
        person = grant.token.text.rpartition("-")[2]
        return [f"{person}@paper.example", f"id-of-{person}"]

    def refresh(self, user: str, resource: str, refresh_token: str) -> Grant:
        if (self.folder / "away").exists():
            raise TransientError("paper: the authority is away")
        old, new = self.folder / "tokens" / refresh_token, self._new("refresh")
        token = Token(self._new("access", f"-{user}-{resource}"), lasts=3600.0)
        try:
            if self.options.rotation == "strict":
                old.rename(old.with_name(new))
            elif self.options.rotation == "lenient":
                old.with_name(new).write_text(old.read_text())
            else:
                old.read_text()
        except FileNotFoundError:
            raise ConsentEnded(f"paper: {user} has revoked the consent", advice="The person took it back.") from None
        return Grant(token, "" if self.options.rotation == "none" else new)

    def device(self, request: ConsentRequest) -> DeviceCode | None:
        if not self.options.device_code:
            return None
        self.consented("device", request.user.partition("@")[0])
        return DeviceCode(user_code="AB-CD", url="https://paper.example/device", device_code="device", interval=0.1, lasts=60.0)

    def poll(self, code: DeviceCode) -> Grant | DeviceCode:
        path = self.folder / "codes" / code.device_code
        if (self.folder / "away").exists():
            raise TransientError("paper: the authority is away")
        if not (self.folder / "asked").exists():
            (self.folder / "asked").touch()
            return code
        return self._given(path.read_text().partition(" ")[0])


class PaperCredential(Credential):
    """Gets its tokens by consents alone."""

    kind = "paper"
    serves_all_users = True
    Options = PaperOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: PaperOptions

    def obtain(self, user: str, resource: str) -> NoReturn:
        raise AssertionError(f"{user} {resource}: never called where there is a consent")

    def consent(self) -> PaperConsent:
        return PaperConsent(self.options)


class PaperTransport(Transport):
    """A mailbox that tells by an error that it got a token."""

    kind = "papermail"

    class Options(Transport.Options):
        """Whose mailbox it is, and what opens it."""

        username: str
        credential: TokenSource

        @property
        def token_use(self) -> TokenUse:
            """What opens the mailbox."""
            return TokenUse(self.credential, self.username, "paper")

    options: Options

    def open(self) -> Session:
        token = self.options.credential.token(self.options.username, "paper")
        raise TransientError(f"papermail was opened by {token.partition('-')[0]}")


@hookimpl
def gatewayd_credentials() -> list[type[Credential]]:
    """Offer the credential."""
    return [PaperCredential]


@hookimpl
def gatewayd_transports() -> list[type[Transport]]:
    """Offer the transport."""
    return [PaperTransport]
