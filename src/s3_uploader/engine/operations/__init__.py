"""What a call can be asked to do: one file each, and none knows another."""
