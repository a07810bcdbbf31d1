"""Our own HTTP/1.1, client and server: it knows no model and no core.

Server: `server` accepts; a `server_connection` reads with `request_reader`, hands each request to
the `service` behind it, and answers through `response_writer`.
Client: `client` takes a `connection` from the `pool`, or has `connect` make one; what it sends is a
`call`, whose owner is called back with what `response_reader` finds, and with reads that need no
parser (`chunks`). `ask` waits for whole answers, whose bytes an `intake` bounds in all.
"""
