"""What every test of the tree may ask for: testkit's fixtures."""

pytest_plugins = ["testkit.fixtures"]
