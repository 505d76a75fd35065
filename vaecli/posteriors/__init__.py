"""What latents are given an image, one posterior a file; `base` says what they share."""
