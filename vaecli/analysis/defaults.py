"""How many images are shown where a caller names no number. No torch, so that ``--help`` can say them."""

CLOUD_IMAGES = 5000
"""Points of a cloud."""

VARIANCE_IMAGES = 200
"""Images whose posterior variances are shown."""

COMPARED_IMAGES = 5
"""Images that runs are compared by."""
