"""The networks of AudioLDM 2, one per file: layers of `framework`, without file access or others' parameter names."""
