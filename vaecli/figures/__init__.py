"""Data to PNG."""
