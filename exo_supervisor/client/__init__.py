"""A small client of the service on the standard library, for the verbs, the demo and the drill.

A verb has to be quick: `http.client` (for `email` and `ssl`) costs more than all that a verb does,
and `msgspec` again as much. So HTTP is read here, and its events, too, since `wire.sse` stands on
msgspec. Neither reader does any I/O: whoever has a socket, a stream or a recording feeds it.
"""
