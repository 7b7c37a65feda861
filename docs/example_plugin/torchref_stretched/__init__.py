"""Stretched exponential relaxation of an excited structure; a plugin of torchref-kinetic-plugin."""
