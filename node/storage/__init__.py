"""What a node keeps: the port (what the core asks for), and the places that keep it (memory, SQLite)."""
