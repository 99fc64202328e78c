"""Contract checks for components, of this package and of plug-ins."""
