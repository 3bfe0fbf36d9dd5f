"""This process: its identity, threads, clocks, child processes, log and metrics."""
