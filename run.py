#!/usr/bin/env python3
"""genspot's command line in a checkout; the same as the command `genspot`."""

from genspot.tasks.main import main

if __name__ == "__main__":
    main()
