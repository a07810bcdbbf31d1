"""Circuit breakers: one automaton, and the table of all of them.

**When a probe goes out.** A breaker trips after so many failures in a row and rests. It is no timer
that ends the rest and no request of our own that tries: generating tokens to see whether somebody
is well is forbidden. A probe is the next request that comes by once `until` has passed, and it is a
client's, so it must not be risked lightly:

- Two breakers guard each candidate, and an attempt takes both permits or none. `may_admit` asks
  both first, so that no probe slot is taken at one while the other refuses.
- Exactly one goes out. Half-open admits nobody else; its outcome closes the breaker or opens it
  for a rest twice as long (with jitter, up to a cap, never shorter than what was left).
- A probe from which nothing is learnt (its client left, the target was busy, the fault was
  another's) gives the slot back: the rest was over, so the next request may probe at once.
- First content is the success, not the end: an answer may take minutes, in which all the others
  would go elsewhere. If that attempt fails after it, the failures which its content had wiped out
  count again (`owed`), or a target that dies in every answer would never trip.
- It goes out sooner in two cases. A cheap check (`/node_id`) that sees a *target* come back ends
  its rest; it never ends a *model's*, since a dead instance answers every cheap check. And where
  no tier offers a request a step, it has made no attempt, and a breaker was the reason at one tier
  at least, it probes the one whose rest ends first (`next_step`: panic): without it, it would be
  refused unasked, or wait.
- It goes out later where a failover is free: a request that has failed once prefers a target whose
  breaker is closed, and does not spend its second chance on somebody else's recovery.
- What closes opens slowly: 1, 2, then 4 attempts at a time for five seconds each, or a queue that
  has waited for it would knock it over again.

A trip begins an epoch, and a permit quotes the epoch it was granted in: who began before the trip
speaks of the time before it, and changes nothing. An operator's decree stands above all this and is
not the automaton's business: what happens under it is recorded, and counts when it ends.
"""
