"""What a trained model shows: samples, reconstructions, latents, inpainting and comparisons."""
