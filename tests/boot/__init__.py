"""A new Debian of our own, booted: the README pasted into it, and the units in a systemd."""
