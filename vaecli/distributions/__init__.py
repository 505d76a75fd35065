"""Distributions of an image given the decoder's output, one a file; `pixels` says what they share."""
