"""gatewayd: a plugin-based mail gateway daemon. These names are all that a plugin's author imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.runtime import lazy_imports

if TYPE_CHECKING:
    from gatewayd.api.connection import ANSWER_BYTES, LEAST_RATE, Connection
    from gatewayd.api.delivery import (
        Bounce,
        Bounced,
        Delivery,
        DeliveryQuery,
        DeliveryState,
        DeliveryView,
        Mode,
        Origin,
        Outgoing,
        Posted,
        Recipient,
        RecipientState,
        Settled,
        Suspension,
        Taken,
    )
    from gatewayd.api.directory import Contents, DirectoryCondition, DirectoryHealth
    from gatewayd.api.endpoint import Endpoint, Server, other_protocol, socket_errors, tls_context
    from gatewayd.api.events import AccountChanged, ConfigLoaded, DeliverySettled, MailFailed, MailFiled
    from gatewayd.api.evidence import Length, difference
    from gatewayd.api.forwarder import Courier, Forwarder, Notice, Parcel, Receipt
    from gatewayd.api.health import AccountHealth, Alarm, Answer, Cause, Condition, DaemonHealth, Lengths, Request, Standing, Task
    from gatewayd.api.hookspecs import hookimpl
    from gatewayd.api.hosts import HostAddress
    from gatewayd.api.ledger import (
        Anchor,
        Entry,
        Filed,
        Filing,
        FilingFault,
        FolderState,
        Held,
        Known,
        Lease,
        NotAdmitted,
        Outcome,
        Owed,
        Retry,
        State,
        Vanished,
        Waiting,
    )
    from gatewayd.api.options import ConfigPath, Duration, Secret
    from gatewayd.api.queries import (
        Audit,
        DatabaseCheck,
        EntryView,
        FilingView,
        Json,
        LinkView,
        Listing,
        Query,
        RivalView,
        Viewer,
        filing_row,
    )
    from gatewayd.api.redaction import HIDDEN, quoted, repeats
    from gatewayd.api.roles import Command, Directory, Folders, Matcher, Operator, Transport
    from gatewayd.api.session import Heard, Session, Watch
    from gatewayd.api.sizes import Reread, Sizes
    from gatewayd.api.spool import Spool
    from gatewayd.api.store import DELIVERY_SECONDS, LEASE_SECONDS, AdmissionVerbs, ProofVerbs, Store
    from gatewayd.api.tally import Commit, Tally
    from gatewayd.api.timestamps import moment
    from gatewayd.api.values import (
        KINDS,
        Action,
        Came,
        Contact,
        Failed,
        Fetched,
        Finding,
        Follows,
        Gone,
        Kind,
        Link,
        Listed,
        Miss,
        Page,
        Record,
        Rivals,
        decide,
    )
    from gatewayd.api.verdicts import PROVISIONAL_SECONDS, Doubted, Judged, Provisional, Refused
    from gatewayd.errors import (
        AuthError,
        ConfigError,
        Fault,
        GatewaydError,
        LeaseLost,
        PermanentError,
        PluginError,
        StoreReplaced,
        TooLarge,
        TransientError,
    )
    from gatewayd.message.body import Alternatives
    from gatewayd.message.envelope import compared, wire
    from gatewayd.message.mail import Mail, parse
    from gatewayd.message.values import CHUNK, Address, Attachment, Container, Part, Source
    from gatewayd.outgoing.forward_mime import Written, forwarded
    from gatewayd.outgoing.notices import notice_mail, notice_row
    from gatewayd.runtime.atomic_files import replace_file
    from gatewayd.runtime.version import __version__

__all__ = [
    "ANSWER_BYTES",
    "CHUNK",
    "DELIVERY_SECONDS",
    "HIDDEN",
    "KINDS",
    "LEASE_SECONDS",
    "LEAST_RATE",
    "PROVISIONAL_SECONDS",
    "AccountChanged",
    "AccountHealth",
    "Action",
    "Address",
    "AdmissionVerbs",
    "Alarm",
    "Alternatives",
    "Anchor",
    "Answer",
    "Attachment",
    "Audit",
    "AuthError",
    "Bounce",
    "Bounced",
    "Came",
    "Cause",
    "Command",
    "Commit",
    "Condition",
    "ConfigError",
    "ConfigLoaded",
    "ConfigPath",
    "Connection",
    "Contact",
    "Container",
    "Contents",
    "Courier",
    "DaemonHealth",
    "DatabaseCheck",
    "Delivery",
    "DeliveryQuery",
    "DeliverySettled",
    "DeliveryState",
    "DeliveryView",
    "Directory",
    "DirectoryCondition",
    "DirectoryHealth",
    "Doubted",
    "Duration",
    "Endpoint",
    "Entry",
    "EntryView",
    "Failed",
    "Fault",
    "Fetched",
    "Filed",
    "Filing",
    "FilingFault",
    "FilingView",
    "Finding",
    "FolderState",
    "Folders",
    "Follows",
    "Forwarder",
    "GatewaydError",
    "Gone",
    "Heard",
    "Held",
    "HostAddress",
    "Json",
    "Judged",
    "Kind",
    "Known",
    "Lease",
    "LeaseLost",
    "Length",
    "Lengths",
    "Link",
    "LinkView",
    "Listed",
    "Listing",
    "Mail",
    "MailFailed",
    "MailFiled",
    "Matcher",
    "Miss",
    "Mode",
    "NotAdmitted",
    "Notice",
    "Operator",
    "Origin",
    "Outcome",
    "Outgoing",
    "Owed",
    "Page",
    "Parcel",
    "Part",
    "PermanentError",
    "PluginError",
    "Posted",
    "ProofVerbs",
    "Provisional",
    "Query",
    "Receipt",
    "Recipient",
    "RecipientState",
    "Record",
    "Refused",
    "Request",
    "Reread",
    "Retry",
    "RivalView",
    "Rivals",
    "Secret",
    "Server",
    "Session",
    "Settled",
    "Sizes",
    "Source",
    "Spool",
    "Standing",
    "State",
    "Store",
    "StoreReplaced",
    "Suspension",
    "Taken",
    "Tally",
    "Task",
    "TooLarge",
    "TransientError",
    "Transport",
    "Vanished",
    "Viewer",
    "Waiting",
    "Watch",
    "Written",
    "__version__",
    "compared",
    "decide",
    "difference",
    "filing_row",
    "forwarded",
    "hookimpl",
    "moment",
    "notice_mail",
    "notice_row",
    "other_protocol",
    "parse",
    "quoted",
    "repeats",
    "replace_file",
    "socket_errors",
    "tls_context",
    "wire",
]

if not TYPE_CHECKING:
    # Each process uses a part of them, and all of them would be a sixth of what it costs to start a worker process.
    _NAMES = {
        "message.envelope": "compared wire",
        "message.body": "Alternatives",
        "outgoing.forward_mime": "Written forwarded",
        "api.connection": "ANSWER_BYTES LEAST_RATE Connection",
        "api.hosts": "HostAddress",
        "api.ledger": (
            "Anchor Entry Filed Filing FilingFault FolderState Held Known Lease NotAdmitted Outcome Owed Retry State "
            "Vanished Waiting"
        ),
        "api.delivery": (
            "Bounce Bounced Delivery DeliveryQuery DeliveryState DeliveryView Mode Origin Outgoing Posted Recipient RecipientState "
            "Settled Suspension Taken"
        ),
        "api.directory": "Contents DirectoryCondition DirectoryHealth",
        "api.endpoint": "Endpoint Server other_protocol socket_errors tls_context",
        "errors": (
            "AuthError ConfigError Fault GatewaydError LeaseLost PermanentError PluginError StoreReplaced TooLarge TransientError"
        ),
        "api.evidence": "Length difference",
        "api.events": "AccountChanged ConfigLoaded DeliverySettled MailFailed MailFiled",
        "api.forwarder": "Courier Forwarder Notice Parcel Receipt",
        "api.health": "AccountHealth Alarm Answer Cause Condition DaemonHealth Lengths Request Standing Task",
        "api.hookspecs": "hookimpl",
        "message.mail": "Mail parse",
        "api.values": (
            "KINDS Action Came Contact Failed Fetched Finding Follows Gone Kind Link Listed Miss Page Record Rivals decide"
        ),
        "message.values": "CHUNK Address Attachment Container Part Source",
        "outgoing.notices": "notice_mail notice_row",
        "api.options": "ConfigPath Duration Secret",
        "api.roles": "Command Directory Matcher Operator Folders Transport",
        "api.redaction": "HIDDEN quoted repeats",
        "api.session": "Heard Session Watch",
        "api.sizes": "Reread Sizes",
        "api.spool": "Spool",
        "api.store": "DELIVERY_SECONDS LEASE_SECONDS AdmissionVerbs ProofVerbs Store",
        "api.tally": "Commit Tally",
        "api.timestamps": "moment",
        "runtime.atomic_files": "replace_file",
        "runtime.version": "__version__",
        "api.verdicts": "PROVISIONAL_SECONDS Doubted Judged Provisional Refused",
        "api.queries": "Audit DatabaseCheck EntryView FilingView Json LinkView Listing Query RivalView Viewer filing_row",
    }
    __getattr__ = lazy_imports.attributes(__name__, _NAMES, former={"Deferred": "Retry", "Place": "Folders"})

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
