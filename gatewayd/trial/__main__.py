"""``python -m gatewayd.trial``: what is pickled here must not be called ``__main__``."""

import sys

from gatewayd.trial.program import main

main(sys.argv[1:])
