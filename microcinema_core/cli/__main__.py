"""`python -m microcinema_core.cli`."""

from . import main

main()
