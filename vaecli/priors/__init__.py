"""What latents are before an image is seen, one prior a file; `base` says what they share."""
