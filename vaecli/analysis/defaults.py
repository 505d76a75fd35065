"""Default numbers of images, and of steps of inference; formats of latents. No torch, so that ``--help`` can print them."""

CLOUD_IMAGES = 5000
"""Images of a cloud."""

VARIANCE_IMAGES = 200
"""Images whose posterior variances are shown."""

COMPARED_IMAGES = 5
"""Images that runs are compared by."""

STARTS = 8
"""Prior draws that the inference of an image's latents starts from."""

STEPS = 2000
"""Gradient steps of that inference at the most."""

LATENT_SUFFIXES = (".npz", ".csv", ".safetensors")
"""Formats of files of latents."""
