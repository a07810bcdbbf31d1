"""Finds: each source of sightings is one supervised task."""
