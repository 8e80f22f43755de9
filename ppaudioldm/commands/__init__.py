"""The commands of `ppaudioldm`, a group of them a file; each has `add`, which tells `cli` of them."""
