"""The commands, against a fake node behind a real socket."""
