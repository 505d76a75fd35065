"""Studies: many runs, the best of which is chosen by its validation images. Optuna keeps them and samples their settings."""
