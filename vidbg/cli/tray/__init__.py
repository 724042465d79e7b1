"""The tray icon of a Linux desktop, as a client of a run's API."""
