"""What is answered here instead of being sent on: models, health, views and orders."""
