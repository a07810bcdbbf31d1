"""Ollama's dialect: requests in, answers written, a line of JSON each."""
