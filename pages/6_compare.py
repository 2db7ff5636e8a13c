"""Compare."""

from ui.frame import open_page

here = open_page("compare")
