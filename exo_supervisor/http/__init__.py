"""Our own HTTP/1.1, client and server: it knows no model and no core."""
