"""The reconciler: see, decide, act, say, publish. Knows the ports, and no implementation of them."""
