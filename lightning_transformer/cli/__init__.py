"""The command line: from what is typed to runs, sweeps and exit codes."""
