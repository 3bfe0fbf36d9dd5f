"""Ask a person for consent: make the request, and read the address that the person ends at (RFC 6749 section 4.1.2)."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from gatewayd.api.consent import ConsentRequest
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from gatewayd.api.consent import Consent
    from gatewayd.api.token_source import TokenUse

__all__ = ["REDIRECT", "code_of", "new_request"]

#: Where the person ends: on their own machine, at a port where nothing listens (RFC 8252 section 7.3). It is always the same, so
#: that it can be registered also where an authority compares the whole address.
REDIRECT = "http://localhost:53682"
_AGAIN = f"Copy the whole address from the browser, from {REDIRECT} to its end, and paste it again."
#: An address has so many characters at most.
_LONGEST = 16384


def new_request(use: TokenUse, *, changes: bool = True, sends: bool = True) -> ConsentRequest:
    """Return a new request; see ``ConsentRequest`` for ``changes`` and ``sends``.

    Its state and verifier have 256 random bits each (RFC 7636 section 7.1, RFC 6749 section 10.10).
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    return ConsentRequest(
        user=use.user,
        resource=use.resource,
        changes=changes,
        sends=sends,
        redirect=REDIRECT,
        state=state,
        verifier=verifier,
    )


def code_of(pasted: str, request: ConsentRequest, consent: Consent) -> str:
    """Return the code in the address that the person pasted.

    Raises PermanentError for what is no such address, or one of another request, so that the person can paste another; and the
    AuthError of ``consent`` for one that says that there is no consent.
    """
    found = _parameters(pasted.strip(), request)
    if not hmac.compare_digest(found.get("state", "").encode(), request.state.encode()):
        raise PermanentError(
            "this address belongs to another request",
            advice=f"Open the link that is shown above, and not an older one. {_AGAIN}",
        )
    if "error" in found:
        raise consent.refused(request, found["error"], found.get("error_description", ""))
    if not found.get("code"):
        raise PermanentError("this address has no code", advice=_AGAIN)
    return found["code"]


def _parameters(pasted: str, request: ConsentRequest) -> dict[str, str]:
    expected = urlsplit(request.redirect)
    # Some browsers show an address without its scheme. Parameters may be addresses themselves, as Google's scopes are.
    pasted = pasted if "://" in pasted.partition("?")[0] else f"{expected.scheme}://{pasted}"
    try:
        # What a terminal of another charset gives can't be sent on.
        pasted.encode()
        address = urlsplit(pasted if len(pasted) <= _LONGEST else "")
        given = parse_qs(address.query, keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise PermanentError("this is no address", advice=_AGAIN) from None
    if (address.scheme, address.netloc, address.path.strip("/")) != (expected.scheme, expected.netloc, expected.path.strip("/")):
        raise PermanentError(f"this is no address that begins with {request.redirect}", advice=_AGAIN)
    # A parameter that is there twice is none of an authority's (RFC 6749 section 3.1).
    return {name: values[0] for name, values in given.items() if len(values) == 1}
