"""The daemon as a process: signals, reloads, systemd, and the reports of events to logs, metrics, observers and people."""
