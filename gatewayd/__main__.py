"""The command ``gatewayd``, also as ``python -m gatewayd``."""

from gatewayd.runtime import gc_tuning

gc_tuning.collect_seldom()

from gatewayd.cli import main  # noqa: E402  only now: see collect_seldom

if __name__ == "__main__":
    main()
