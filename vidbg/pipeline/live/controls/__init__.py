"""What changes a run while it is live: the API, and the server of it and of the page."""
