"""Anthropic's dialect, the Messages API: requests in and out, answers read and written."""
