"""From the text of a file to the environments that it gives to processes; one kind of file to a module."""
