"""This process: who it is, its threads, clocks and child processes, its log and its metrics."""
