"""Sign requests, after Standard Webhooks 1.0.0, "Signature scheme"."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from gatewayd import AuthError, repeats

if TYPE_CHECKING:
    from gatewayd import Secret

__all__ = ["Keys", "webhook_id"]

_PREFIX = "whsec_"
#: In bytes: 192 to 512 bits.
_LEAST, _MOST = 24, 64


def webhook_id(message_id: str) -> str:
    """Return the webhook-id of a delivery: the same at each try, and without a dot, which separates what is signed."""
    return f"msg_{hashlib.sha256(message_id.encode()).hexdigest()[:32]}"


class Keys:
    """The secrets of one target, revealed. Their repr does not show them."""

    def __init__(self, *secrets: Secret | None) -> None:
        """Reveal them; raises AuthError where one is missing or no secret of a webhook."""
        self._texts = [(secret, secret.reveal()) for secret in secrets if secret]
        self._keys = [_key(secret, text) for secret, text in self._texts]

    def signatures(self, webhook_id: str, timestamp: int, body: bytes) -> str:
        """Return the value of ``webhook-signature``: one signature for each secret, the newest first."""
        signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp, body)
        return " ".join(f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in self._keys)

    def are_in(self, text: str | bytes) -> bool:
        """Whether a server's words give one of the secrets away, in whatever encoding."""
        return any(repeats(text, secret.removeprefix(_PREFIX)) for _, secret in self._texts)


def _key(secret: Secret, text: str) -> bytes:
    try:
        key = b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_PREFIX) or not _LEAST <= len(key) <= _MOST:
        raise AuthError(
            f"the secret {secret} is no secret of a webhook: expected {_PREFIX} and base64 of {_LEAST} to {_MOST} bytes",
            advice='Make one, for the receiver as well: echo "whsec_$(openssl rand -base64 32)"',
        )
    return key
