"""The web output and the panel: one HTTP service each."""
