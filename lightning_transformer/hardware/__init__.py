"""What the machine can do, and settings of the process that go with it."""
