"""One account: list, fetch, match, file, settle."""
