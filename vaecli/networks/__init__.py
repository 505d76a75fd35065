"""Encoder and decoder networks, one architecture a file.

Each architecture is a small frozen dataclass whose fields are its options, with

- ``encoder(shape, labels, outputs)``: a network from images (..., D) and labels (..., labels) to (..., outputs);
- ``decoder(shape, latent_dim, labels, outputs)``: a network from latents (..., latent_dim) and labels to (..., outputs, D).

`shape` is that of the images, of D values in all; `labels` is 0 for a network without labels. Each architecture decides where the
label goes in.
"""
