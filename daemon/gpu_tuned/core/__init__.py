"""Values and decisions: no clock, file, socket, thread or vendor in here (a test holds this)."""
