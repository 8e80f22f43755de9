"""A bank of recorded sounds and notes of instruments, with the licence of each: `assets/bank` of the repository."""

from ppaudioldm.sounds.bank.reading import LICENCES, SAMPLE_RATE, Bank, Recording, open_bank

__all__ = ["LICENCES", "SAMPLE_RATE", "Bank", "Recording", "open_bank"]
