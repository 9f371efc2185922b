"""The way of one file: decided, sent whole or in parts, proven, published."""
