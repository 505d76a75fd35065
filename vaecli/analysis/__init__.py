"""Analyses of trained models: samples, reconstructions, latents, inpainting and comparisons."""
