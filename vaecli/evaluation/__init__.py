"""How good a model is: bounds on log p(x), log p(x) itself, and all that `vaecli compare` measures."""
