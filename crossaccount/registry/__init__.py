"""The model registry as the library reads it: versions of a group, and their images and artifacts."""
