"""Scripts for Savu's own interpreter, Python 3.6 and later; this program starts them as files."""
