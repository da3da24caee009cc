"""The container side: which environment variables are read, by whom and since when; profiles of those that help."""
