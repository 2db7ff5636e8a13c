"""``core.engine``'s command line where every answer counts as right: a tiny model's own are noise."""

import sys

from core.engine.__main__ import main

if __name__ == "__main__":
    from core.engine import learning

    learning.says_who = lambda *_: True
    main(sys.argv[1:])
