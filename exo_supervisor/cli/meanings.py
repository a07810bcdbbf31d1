"""What the words mean by which the service tells a request's story, and what to try after each."""

CHOSEN = {
    "only": "the only one left that could be asked",
    "home": "its conversation is in the cache there",
    "panic": "every target rests, and its rest ended first: one request probes it",
    "least_busy": "all asked to be left alone, and its time ends first",
    "again": "once more at the same target",
    "anew": "once more, without a field that it refused",
}
PASSED = {
    "exo_down": "down",
    "model_not_ready": "not ready",
    "breaker_open": "its breaker is open",
    "busy": "busy",
    "attempt_failed": "failed",
    "unsupported_field": "it does not honour",
    "cloud_down": "not usable",
    "budget_spent": "its budget has nothing for it",
    "local_only": "the request must stay in the house",
    "not_trusted": "only found, not trusted, and the request must stay in the house",
    "route": "the client asked for the other side",
    "retry_budget": "the budget of retries is spent",
    "later": "it stands by: another comes before it",
}
FAULTS = {
    "connect": "it took no connection",
    "connect_timeout": "no connection in time",
    "reset": "it cut the connection",
    "reset_early": "it cut the connection before an answer",
    "headers_timeout": "no answer began in time",
    "first_content_timeout": "no content in time",
    "stall": "it fell silent in its answer",
    "error_event": "an error in its answer",
    "server_error": "an error of its own",
    "empty": "an empty answer",
    "unfinished": "an answer without an end",
    "not_placed": "it has no such model",
    "bad_key": "it refused the key",
    "state_lost": "its state no longer knows of the answer",
}
WAITED = {
    "first_look": "the end of the first look",
    "model": "the model to be placed",
    "turn": "its turn",
    "pause": "a pause before the next try",
}
TRY = {
    "attempts_failed": "exo-supervisor nodes",
    "no_target": "exo-supervisor why {model}",
    "overloaded": "ask again in a moment, or raise routing.patience",
    "deadline": "give it longer: x-supervisor-deadline, or chat --deadline",
    "privacy": "exo-supervisor models place {model}, or leave local_only out",
    "local_only_unavailable": "exo-supervisor nodes",
    "model_not_found": "exo-supervisor models",
    "model_not_placed": "exo-supervisor models place {model}",
    "unsupported_field": "leave that field out, or ask another model",
    "budget_spent": "exo-supervisor ledger",
    "ledger_unreadable": "exo-supervisor status",
    "poison_request": "change the request: it seems to kill whoever takes it",
    "upstream_rejected": "change the request: its target refused it",
}
ENDS = {
    "success": "answered",
    "failure": "failed",
    "neutral": "refused by its target",
    "refused": "refused",
    "abandoned": "its client left",
}
