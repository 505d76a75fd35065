"""Encoder and decoder networks, one architecture a file.

Each architecture is a small frozen dataclass whose fields are its options, with

- ``encoder(labels, outputs)``: a network from images (..., 784) and labels (..., labels) to (..., outputs);
- ``decoder(latent_dim, labels, outputs)``: a network from latents (..., latent_dim) and labels to (..., outputs, 784).

`labels` is 0 for a network without labels. Each architecture decides where the label goes in.
"""
