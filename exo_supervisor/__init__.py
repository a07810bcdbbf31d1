"""A service beside an Exo cluster: whole answers or honest errors, from Exo or from the cloud."""

__version__ = "0.1.0"
