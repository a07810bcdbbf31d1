"""Which of several healthy candidates is asked: one file a policy, named in `choose`."""
