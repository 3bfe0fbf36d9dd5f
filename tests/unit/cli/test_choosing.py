"""What is chosen by its key is the message that was meant, and no other that a server calls the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd import PermanentError, Viewer
from gatewayd.cli.choosing import offers_of
from gatewayd.config import ImportConfig
from tests.unit.importing.filled import filled
from tests.unit.kernel import Gateway

if TYPE_CHECKING:
    from pathlib import Path

ACME = Viewer(operator="acme")


def test_P3_a_key_that_several_folders_have_chooses_nothing_until_one_of_them_is_named(tmp_path: Path) -> None:
    transport = filled(2, "INBOX", "Archive")
    transport.deliver(b"Message-ID: <9@example.com>\r\nSubject: another\r\n\r\nHello\r\n", folder="Archive")
    imports = ImportConfig(take="chosen", folders=("INBOX", "Archive"))
    with Gateway(tmp_path, transport, imports=imports) as gateway:
        gateway.good()
        with pytest.raises(PermanentError, match="several folders have a message 1:1: Archive, INBOX") as caught:
            offers_of(gateway.store, ACME, "main", ["1:2", "1:1"])
        assert "--folder" in (caught.value.advice or "")
        assert list(offers_of(gateway.store, ACME, "main", ["1:2"]).values()) == ["1:2"], "INBOX alone has it"
        (archived,) = offers_of(gateway.store, ACME, "main", ["1:1"], folder="Archive")
        assert gateway.store.choose(ACME, "main", [archived], who="anna") == 1
        gateway.good()
        assert [(one.folder, one.key, one.subject) for one in gateway.filings()] == [("Archive", "1:1", "another")]
        assert len(offers_of(gateway.store, ACME, "main", [], offered=True)) == 2
