"""The command line, ``torchref.kinetic VERB``: the only room that prints."""
