"""What is measured and counted of the work under way."""
