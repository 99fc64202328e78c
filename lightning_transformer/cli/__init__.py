"""The command line: from arguments to runs, sweeps and exit codes."""
