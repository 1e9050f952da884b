"""``python -m savu_spawner.caretaker -f jupyterhub_config.py``."""

from savu_spawner.caretaker.application import main

if __name__ == "__main__":
    main()
