"""Decides: pure automata and tables; the clock is an argument, and no I/O happens here.

`machine` takes `events` in and gives `effects` out. `fleet` knows the nodes and clusters,
`requests` the requests; `placement` keeps models placed; `breakers` and `load` hold what is learned
of targets, by which `balance` chooses; `books` keep budgets. `policy` is the configuration.
"""
