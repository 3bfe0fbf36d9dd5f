"""Read the bytes of a message into a view, and write header lines: charsets, MIME, addresses, dates, containers, Message-IDs.

Parsing never raises, whatever the bytes are, and takes linear time.
"""
