"""The law: what makes an entry, a block and a chain valid. Pure: no clock, randomness, sockets or disk."""
