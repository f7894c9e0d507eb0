"""Golden vectors: JSON files, bytes in hex, enough to check another implementation without this one."""
