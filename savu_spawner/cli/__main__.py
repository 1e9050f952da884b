"""``python -m savu_spawner.cli``."""

from savu_spawner.cli.main import main

main()
