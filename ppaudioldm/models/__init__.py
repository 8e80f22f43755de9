"""The networks of AudioLDM 2, one a file: plain layers on `framework`, no files and no key names of other projects."""
