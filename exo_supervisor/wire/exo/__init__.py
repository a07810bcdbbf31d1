"""What Exo alone speaks: identity, state, placement, discovery."""
