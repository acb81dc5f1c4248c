"""What tests need: real servers on free ports, a database per test, a clock."""
