"""Looks further for a build ID that is not held."""
