"""One visit to one account: list, fetch, match, file, settle."""
