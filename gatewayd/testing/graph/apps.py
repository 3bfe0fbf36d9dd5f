"""The registered apps of a tenant, as an administrator sets them up: secrets, certificates, permissions, and their limits."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field

__all__ = ["EntraApp", "EntraTenant"]


@dataclass(slots=True, kw_only=True, eq=False)
class EntraApp:
    """An app registration with application permissions. What is set on it holds from then on, live."""

    #: The id of its tenant.
    tenant: str
    #: The client id.
    client: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: The secret's value.
    secret: str = field(default="", repr=False)
    #: When the secret ends, in seconds since 1970.
    secret_ends: float = math.inf
    #: The registered certificate, as PEM; empty if there is none.
    certificate: str = ""
    #: The permissions that an administrator consented to; a token has those of the time when it was issued.
    roles: set[str] = field(default_factory=lambda: {"Mail.ReadWrite", "Mail.Send"})
    #: What RBAC for Applications grants beside: permissions by the id of a mailbox. No token tells them.
    granted: dict[str, set[str]] = field(default_factory=dict)
    #: The mailboxes that an access policy limits the app to, by id; None: all of its tenant.
    only: set[str] | None = None
    #: Whether a service principal exists in the tenant, as it does once an administrator has consented.
    has_principal: bool = True
    #: Whether Conditional Access blocks it.
    is_blocked: bool = False
    #: The redirect URIs: where the browser of a person may be sent who has consented. On this machine, any port will do.
    redirects: set[str] = field(default_factory=lambda: {"http://localhost"})
    #: Whether these are of the platform "Mobile and desktop applications": the app then must not prove itself for a person's token.
    is_public: bool = False
    #: Whether it allows public client flows, such as a device code.
    allows_device_code: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class EntraTenant:
    """A tenant with its apps."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: Its verified domain, which serves as well as its id.
    domain: str
    #: By client id.
    apps: dict[str, EntraApp] = field(default_factory=dict)
