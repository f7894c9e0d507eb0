"""Real processes, sockets and disks, as people use them; loopback and temporary folders only."""
