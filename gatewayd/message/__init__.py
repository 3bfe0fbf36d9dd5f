"""What is read inside a message: charsets, encoded words, dates, addresses, and containers of other formats.

Nothing here raises for any bytes, and nothing takes more than linear time.
"""
