"""One request from its arrival to its settlement.

`dispatch` takes its events. `intake` says which tiers are open to it; `healthy` starts it at once
where nothing stands in the way, which is nearly always; else `next_step` decides, after everything
it meets, among `candidates`: an attempt, a place in the `queue`, or one of `refusals`. The end of
an attempt is booked by `settlement`; `aftermath` says what follows, within the `retry_budget`.
"""
