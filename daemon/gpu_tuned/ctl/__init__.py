"""gpu-tunedctl: one file a verb. Speaks to the daemon through its socket, and knows no vendor."""
