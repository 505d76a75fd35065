"""What training maximises, one objective a file.

An objective is a small frozen dataclass whose fields are its options, called as ``objective(model, x, y, noise)``: x are images
of shape (B, D), y their labels or None, noise what latents are drawn from. It gives `Bound`: nats per image,
shape (B,), never reduced over images.
"""
