"""An HTTP/1.1 client for plugins: kept connections, a deadline and a bound for each request, answers that are whole or a fault."""
