"""Our own HTTP/1.1 client: it knows no model and no core."""
