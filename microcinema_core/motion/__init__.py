"""The multiplane camera: plates behind each other under a camera, any moment of it at any size."""
