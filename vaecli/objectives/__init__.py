"""What training maximises, one objective a file.

An objective is a small frozen dataclass whose fields are its options, with

- ``draws``: how many vectors of noise it takes for each image;
- ``objective(model, x, y, eps)``: its `Bound` for images x, shape (B, D), their labels y or None, and standard normal noise eps of
  shape (draws, B, latent_dim): nats per image, shape (B,), never reduced over images.

One that compares an image with the others of its batch says so by ``couples``, and is called with a `Batch` too. Its values are
each image's own share, whose mean over the batch is what is maximised.
"""
