"""What `supervisor.toml` may say, and where it is: structs from a text, or every fault in it."""
