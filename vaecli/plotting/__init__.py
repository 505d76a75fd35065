"""Pictures: grids of images, and plots with axes."""

import logging

# matplotlib warns if it cannot keep its font cache, which does not matter to a picture
logging.getLogger("matplotlib").setLevel(logging.ERROR)
