"""Times beside the framework's own kinetic module, in one process."""
