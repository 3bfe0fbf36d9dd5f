"""A plugin that can't be imported."""

msg = "no such printer"
raise RuntimeError(msg)
