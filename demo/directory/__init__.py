"""The demo's directory in a container, where certificate and accounts are mounted from a Secret."""
