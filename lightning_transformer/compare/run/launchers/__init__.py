"""Where the runs of a comparison are done: options of the group `launcher`."""
