"""The daemon as a process: signals, reload, systemd, and who is told what happens."""
