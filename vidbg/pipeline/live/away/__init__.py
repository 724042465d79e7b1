"""Being away: the camera is closed, and viewers see a card."""
