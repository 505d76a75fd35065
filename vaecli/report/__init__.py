"""The whole report as one page: what its figures are, what is measured of them, and the page."""
