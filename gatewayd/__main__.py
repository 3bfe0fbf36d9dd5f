"""``python -m gatewayd``."""

from gatewayd.cli import main

main()
