"""Start child processes within milliseconds, by forking them from a process that has imported gatewayd already.

That process, the fork server, is started anew with the first child. It has one thread and runs no plugin's code, so that a child
is as one that was started anew, but for the time that imports take and for the memory that it shares. The daemon itself has
threads and is never forked. An update of gatewayd beneath a running daemon is not seen by its children.
"""

from gatewayd.runtime.forkserver.children import Child, close, fork, prepare, signal_name

__all__ = ["Child", "close", "fork", "prepare", "signal_name"]
