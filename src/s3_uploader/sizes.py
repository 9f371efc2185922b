"""Units of size: powers of 1,024 bytes, as the log shows them."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
