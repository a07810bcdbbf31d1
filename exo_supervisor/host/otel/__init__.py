"""What is told to a collector of OpenTelemetry: an extra, off unless its own variables name one."""
