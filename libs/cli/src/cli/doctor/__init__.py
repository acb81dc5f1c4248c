"""`p2p doctor`: what it looks at, a file each; every check tells findings and raises nothing."""
