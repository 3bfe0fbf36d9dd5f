"""Compose mail that we write ourselves: new mail, and answers to mail that came in. Bytes in, bytes out; nothing here does I/O."""
