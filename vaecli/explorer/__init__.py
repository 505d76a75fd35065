"""A page in which a person moves through the latent space of runs, decoded in the browser."""
