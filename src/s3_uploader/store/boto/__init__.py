"""The boto lane: every call by aioboto3, which alone knows proxies and AWS's credential chain."""
