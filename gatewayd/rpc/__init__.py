"""Let other processes ask the daemon over a Unix socket, each call checked for web session, role and viewer before it is done."""

from gatewayd.rpc import calls, mailbox_calls

__all__ = ["calls", "mailbox_calls"]
