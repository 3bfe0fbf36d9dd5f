"""Google's token endpoint: one POST for each token (RFC 6749 section 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gatewayd import HttpClient, HttpPool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd import HttpAnswer, Secret
    from gatewayd_google.options import GoogleOptions

__all__ = ["ask", "pool_of", "text_of"]

#: How many bytes of an answer are read.
_ANSWER = 1 << 16


def ask(options: GoogleOptions, form: Mapping[str, str]) -> HttpAnswer:
    """Ask for a token and return the answer, whatever it is. Raises AuthError or TransientError."""
    return HttpClient(pool_of(options)).request(
        "POST",
        options.token_url,
        what="to ask for an access token",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        # An environment variable need not be UTF-8.
        body=urlencode(form, errors="surrogateescape").encode("ascii"),
        limit=_ANSWER,
        deadline=options.timeout,
    )


def pool_of(options: GoogleOptions) -> HttpPool:
    """Return the endpoint as a server. No connection is kept: the next token is an hour away."""
    return HttpPool(options.token_url, ca_file=options.ca_file, timeout=options.timeout, field="token_url", kept=0)


def text_of(secret: Secret | None) -> str:
    """Return a secret; empty if there is none. Raises AuthError."""
    return secret.reveal() if secret else ""
