"""The configuration: composing it, and checking its keys and types without importing torch."""
