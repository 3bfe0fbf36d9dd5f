"""The matcher ``threads``: names the mail of ours that a reply answers (RFC 5322 section 3.6.4); the store gives it the same links.

The matcher only finds Message-IDs that look like ours. The kernel has the key, and ignores foreign and forged ones.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from gatewayd import Follows, Matcher, Miss
from gatewayd_threads.options import ThreadsOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Directory, Finding, Mail

__all__ = ["Threads"]

#: The most references of one mail that are followed, the newest first.
_MAX_FOLLOWS = 50
#: The Message-ID of a mail that we wrote, and not of one that we forwarded.
_OURS = re.compile(r"<gw\.m\.[^<>@\s]+@[^<>@\s]+>", re.IGNORECASE)


class Threads(Matcher):
    """Links replies to our own mail to the records of that mail."""

    kind = "threads"
    follows = True
    Options = ThreadsOptions

    def match(self, mails: Sequence[Mail], directory: Directory) -> Iterator[Finding]:  # noqa: ARG002  it asks it nothing
        """See ``Matcher``."""
        for mail in mails:
            ours = [one for one in reversed(mail.references) if _OURS.fullmatch(one)]
            for message_id in islice(ours, _MAX_FOLLOWS):
                yield Follows(mail.id, message_id, f"it answers our mail {message_id}")
            if not ours:
                what = "no mail of ours (References, In-Reply-To)" if mail.references else "nothing"
                yield Miss(mail.id, f"it answers {what}")
