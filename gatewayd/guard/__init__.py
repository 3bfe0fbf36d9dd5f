"""Plugins' objects in guards: what they answer is checked, and what goes wrong is known as theirs (promise P4)."""

from gatewayd.guard.courier import WrongReceipt, open_courier
from gatewayd.guard.directory import DirectoryFailed, GuardedDirectory
from gatewayd.guard.session import open_session

__all__ = ["DirectoryFailed", "GuardedDirectory", "WrongReceipt", "open_courier", "open_session"]
