"""The web API of a session: finds data, keeps process lists, runs jobs, as the user."""
