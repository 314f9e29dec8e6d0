"""What happens next: decisions only, with no I/O and no clock of their own."""
