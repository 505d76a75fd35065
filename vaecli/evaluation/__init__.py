"""Measurements of a model: bounds on log p(x), log p(x) itself, and everything that `vaecli compare` measures."""
