"""What a machine offers, what a run takes of it, and what is chosen where a configuration says ``auto``."""
