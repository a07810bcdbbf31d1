"""Meets the machine: systemd, logs, credentials, limits."""
