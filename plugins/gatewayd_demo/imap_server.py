"""The demo's IMAP server: pymap with mail in memory. ``python -m gatewayd_demo.imap_server USER PASSWORD_FILE``."""

from __future__ import annotations

import asyncio
import os
import sys
from argparse import Namespace

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer
from pysasl.hashing import Cleartext

from gatewayd_demo.child import password, serve

__all__ = ["main"]

_HOST = "127.0.0.1"


async def main(user: str, password_file: str) -> None:
    """Serve one mailbox on a free port, which is printed, until standard input ends."""
    # The greeting names the host; asking the network for its name can take long.
    os.environ.setdefault("FQDN", "localhost")
    # pymap takes its settings from its command line only, so this is one.
    arguments = Namespace(
        host=_HOST,
        port=0,
        debug=False,
        cert=None,
        key=None,
        tls=False,
        proxy_protocol=None,
        passlib_cfg=None,
        inherited_sockets=None,
        demo_data=False,
        demo_user=user,
        demo_password=password(password_file),
    )
    # It is in memory alone, and made anew for each demo: to hash it would cost more than the demo's mail, at each log-in.
    backend, config = await DictBackend.init(arguments, hash_context=Cleartext())
    config.apply_context()
    connected = ProxyProtocolReader(config.proxy_protocol).get_callback(IMAPServer(backend.login, config))
    await serve(await asyncio.start_server(connected, _HOST, 0))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
