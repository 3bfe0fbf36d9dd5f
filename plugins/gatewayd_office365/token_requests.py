"""Ask Microsoft's log-in service for tokens: one POST each, with what proves the app's identity."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gatewayd import HttpClient, HttpPool
from gatewayd_office365.certificate import read_certificate, signed
from gatewayd_office365.json_objects import json_object
from gatewayd_office365.token_faults import TOKEN_FAULTS, token_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd import HttpAnswer
    from gatewayd_office365.credential_options import Office365CredentialOptions
    from gatewayd_office365.token_faults import TokenFault

__all__ = ["OUTLOOK", "AppProof", "EntraAnswer", "asked", "proof_of"]

#: The API of IMAP, POP3 and SMTP.
OUTLOOK = "https://outlook.office365.com"
_ANSWER = 1 << 18
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AppProof:
    """What proves to Microsoft Entra who the app is. A public client has none."""

    #: The fields of the request.
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What no message may show.
    hidden: str = field(default="", repr=False)
    #: The thumbprint of the certificate; empty for a secret.
    thumbprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraAnswer:
    """An answer of the log-in service."""

    answer: HttpAnswer = field(repr=False)
    #: The JSON object that its body is; empty if it is none.
    said: Mapping[str, object] = field(repr=False)
    #: The host and port that it came from.
    where: str
    #: What no message may show.
    hidden: Sequence[str] = field(repr=False)
    thumbprint: str = ""

    @property
    def refusal(self) -> str:
        """The word of OAuth for a refusal (RFC 6749 section 5.2); empty if it is none."""
        found = self.said.get("error")
        return found if self.answer.status != _OK and isinstance(found, str) else ""

    def checked(self, faults: Sequence[TokenFault] = TOKEN_FAULTS) -> EntraAnswer:
        """Return it; raises AuthError for a refusal, with the text of the first of ``faults`` that fits, or TransientError."""
        if self.answer.status == _OK:
            return self
        raise token_error(self.answer, self.said, self.where, self.hidden, thumbprint=self.thumbprint, faults=faults)


def proof_of(options: Office365CredentialOptions, endpoint: str) -> AppProof:
    """Return what proves the app to ``endpoint``. Raises AuthError if that can't be used."""
    if options.certificate is not None:
        certificate = read_certificate(options.certificate, datetime.now(UTC))
        assertion = signed(certificate, client=options.client, endpoint=endpoint, now=time.time())
        form = {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return AppProof(form=form, hidden=assertion, thumbprint=certificate.thumbprint)
    if options.secret is None:
        return AppProof()
    secret = options.secret.reveal()
    return AppProof(form={"client_secret": secret}, hidden=secret)


def asked(
    options: Office365CredentialOptions, form: Mapping[str, str], *, place: str = "token", hidden: Sequence[str] = ()
) -> EntraAnswer:
    """Ask an endpoint of the tenant, ``token`` or ``devicecode``, and return what it answers, also a refusal.

    ``form`` has neither the client nor its proof. ``hidden`` is what of it no message may show. Raises AuthError or TransientError.
    """
    url = f"{options.authority}/{options.tenant}/oauth2/v2.0/{place}"
    proof = proof_of(options, url)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "client-request-id": str(uuid.uuid4()),
    }
    pool = HttpPool(options.authority, ca_file=options.ca_file, timeout=options.timeout, field="authority", kept=0)
    with closing(pool):
        answer = HttpClient(pool).request(
            "POST",
            url,
            what="the request for an access token",
            headers=headers,
            body=urlencode({"client_id": options.client, **form, **proof.form}).encode(),
            limit=_ANSWER,
            deadline=options.timeout,
            repeat=True,
        )
    return EntraAnswer(
        answer=answer,
        said=json_object(answer.body) or {},
        where=pool.where,
        hidden=(proof.hidden, *hidden),
        thumbprint=proof.thumbprint,
    )
