"""What is sent back, one module for each group of routes."""
