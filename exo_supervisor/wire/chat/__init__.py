"""The neutral view of a chat: what a request wants, and the pieces of an answer."""
