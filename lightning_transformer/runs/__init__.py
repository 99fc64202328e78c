"""What a run leaves on disk: folder names, results and what may be trusted in them."""
