"""Default numbers of images. No torch, so that ``--help`` can print them."""

CLOUD_IMAGES = 5000
"""Images of a cloud."""

VARIANCE_IMAGES = 200
"""Images whose posterior variances are shown."""

COMPARED_IMAGES = 5
"""Images that runs are compared by."""
