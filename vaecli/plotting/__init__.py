"""Pictures: grids of images, and plots with axes."""

import logging

# where no font cache can be kept, that is no news to who asked for a picture
logging.getLogger("matplotlib").setLevel(logging.ERROR)
