"""One sub-command a file: options in, one call, files and one line out. Torch is imported in the bodies only."""
