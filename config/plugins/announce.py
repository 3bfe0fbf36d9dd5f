"""An observer in a single file: it adds a line of JSON for each new mail to the file that GATEWAYD_ANNOUNCE names."""  # noqa: INP001  a single file, no package

from __future__ import annotations

import json
import os
from pathlib import Path

from gatewayd import MailFiled, hookimpl


@hookimpl
def gatewayd_mail_filed(event: MailFiled) -> None:
    """Announce the mail to whoever reads the file, such as `tail -F`; without the variable there is nothing to do."""
    file = os.environ.get("GATEWAYD_ANNOUNCE")
    if file is None or event.backlog:
        return
    line = {"id": event.mail_id, "account": event.account, "operators": event.operators, "size": event.size}
    with Path(file).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
