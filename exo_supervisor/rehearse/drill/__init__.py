"""The fire drill: the user's own configuration before pretend targets that fail in every way."""
