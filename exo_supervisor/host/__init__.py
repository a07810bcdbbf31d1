"""Meets the machine: systemd, the `unix` and `tcp` listeners, logs, credentials, limits."""
