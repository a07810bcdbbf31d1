"""The demo's story and the drill."""
