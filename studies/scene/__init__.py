"""How the network of `microcinema_core.places` is taught and measured, on free pictures that we labelled ourselves."""
