"""Runs on disk: where they are, their files and their format."""
