"""Serves one request from its bytes to its end.

    listener -> ingress -> reception -> exchange -> attempt -> upstream
    who asks    by path    its body     asks the    one at a   what is
                                        core        time       sent
                           response  <- relay    <- wire's reader

`control` answers what is not sent on; `reports` and `usage` say what is told of a request, to the
core and in its record; `live` has all that are under way, and its ticker makes their timers due.
By when an answer must have begun is said by `opening`, and each stage of an attempt by `timers`.
"""
