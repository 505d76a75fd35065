"""vaecli: train, look into and compare variational autoencoders from the command line."""

__version__ = "0.1.0"
