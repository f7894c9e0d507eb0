"""The page: a process of its own beside the daemon, which reads the book and talks to the local socket."""
