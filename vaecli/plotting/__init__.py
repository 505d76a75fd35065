"""Pictures: grids of images, and plots with axes."""
