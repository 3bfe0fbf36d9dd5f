"""Read the answers of Google's token endpoint (RFC 6749 section 5), and translate refusals into gatewayd's five errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import AuthError, ConsentEnded, Grant, Token, TransientError, quoted, retry_after
from gatewayd_google.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import GatewaydError, HttpAnswer
    from gatewayd_google.refusals import Refusal, Way

__all__ = ["TokenRequest", "address_of", "given", "granted", "refused"]

#: The characters of a bearer token (RFC 6750 section 2.1), and how many it may have: a longer one is too long for mail servers.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")
_REFRESH = re.compile(r"[\x21-\x7e]{1,4096}")
_ADDRESS = re.compile(r"[!-?A-~]{1,250}@[!-?A-~]{1,250}")
#: Google gives an hour, or twelve where an organisation asks for that.
_LONGEST = 12 * 3600
_OK, _REFUSED, _TOO_MANY, _FAILED = 200, 400, 429, 500
_SERVER = "Check `token_url`, and any proxy between this machine and Google."


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What Google was asked for: the names that messages show, and the secrets that none may show."""

    where: str
    way: Way
    user: str
    client: str
    scope: str
    #: The service account's address; empty for a refresh token.
    account: str = ""
    secrets: Sequence[str] = field(repr=False)


def given(answer: HttpAnswer, asked: TokenRequest) -> Token:
    """Return the token of an answer. Raises AuthError for a refusal, TransientError for what may go well later."""
    found = _object(answer.body)
    if answer.status != _OK:
        raise _refused(answer, found, asked)
    text, lasts, kind = found.get("access_token"), found.get("expires_in"), found.get("token_type")
    if not isinstance(text, str) or not _TOKEN.fullmatch(text) or not isinstance(kind, str) or kind.lower() != "bearer":
        raise TransientError(f"{asked.where}: the answer holds no access token", advice=_SERVER)
    if not isinstance(lasts, int) or isinstance(lasts, bool) or lasts <= 0:
        raise TransientError(f"{asked.where}: the answer does not say how long its access token lasts", advice=_SERVER)
    return Token(text, lasts=float(min(lasts, _LONGEST)))


def granted(answer: HttpAnswer, asked: TokenRequest) -> Grant:
    """Return the tokens of an answer; Google gives a refresh token for a code alone. Raises as ``given``."""
    token, found = given(answer, asked), _object(answer.body)
    refresh, scope = found.get("refresh_token", ""), found.get("scope", asked.scope)
    if not isinstance(refresh, str) or (refresh and not _REFRESH.fullmatch(refresh)):
        raise TransientError(f"{asked.where}: the answer holds a refresh token that is none", advice=_SERVER)
    if not isinstance(scope, str) or asked.scope not in scope.split():
        # The page has a box for each scope.
        raise refused(asked, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "")
    return Grant(token, refresh)


def address_of(answer: HttpAnswer, asked: TokenRequest) -> str:
    """Return the address of the mailbox, from Gmail's profile ("Method: users.getProfile"). Raises AuthError or TransientError."""
    found = _object(answer.body)
    if answer.status != _OK:
        raise _refused(answer, found, asked)
    address = found.get("emailAddress")
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise TransientError(f"{asked.where}: the answer holds no address", advice="Check `gmail`, and any proxy before it.")
    return address


def refused(asked: TokenRequest, error: str, words: str) -> AuthError:
    """Return the error for a refusal that came by the person's browser."""
    shown = quoted(f"{error}{f': {words}' if words else ''}", asked.secrets)
    return _told(refusal((error, words), asked.way), asked, shown or "no error is named")


def _object(body: bytes) -> Mapping[str, object]:
    """Return the JSON object of a body; an empty one if it is something else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refused(answer: HttpAnswer, found: Mapping[str, object], asked: TokenRequest) -> GatewaydError:
    codes, words = _said(found)
    shown = quoted(f"{answer.status} {' '.join(codes)}{f': {words}' if words else ''}", asked.secrets)
    wait = retry_after(answer.headers)
    if answer.status == _TOO_MANY or answer.status >= _FAILED:
        codes = ("429" if answer.status == _TOO_MANY else "5xx",)
    elif not codes or answer.status < _REFUSED:
        what = f"the answer is {answer.status}, with nothing that Google says"
        return TransientError(f"{asked.where}: {what}", advice=_SERVER, retry_after=wait)
    entry = refusal((*codes, words), asked.way)
    error = _told(entry, asked, shown)
    return TransientError(error.message, advice=error.advice, retry_after=wait) if entry.later else error


def _told(entry: Refusal, asked: TokenRequest, shown: str) -> AuthError:
    names = {"user": asked.user, "account": asked.account, "client": asked.client, "scope": asked.scope}
    verb = ConsentEnded if entry.ends else AuthError
    return verb(f"{asked.where}: {entry.says.format(**names)} ({shown})", advice=entry.advice.format(**names))


def _said(found: Mapping[str, object]) -> tuple[tuple[str, ...], str]:
    """Return the codes of a refusal and the words beside them: as OAuth has them, or as Google's APIs have (google.rpc.Status)."""
    inner = found.get("error")
    if isinstance(inner, dict):
        details = inner.get("details")
        infos = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
        given_codes = [*(one.get("reason") for one in infos), inner.get("status")]
        words = inner.get("message")
    else:
        given_codes, words = [found.get("error_subtype"), inner], found.get("error_description")
    return tuple(code for code in given_codes if isinstance(code, str) and code), words if isinstance(words, str) else ""
