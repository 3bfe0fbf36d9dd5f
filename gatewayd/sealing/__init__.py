"""Ask persons for their consent, and keep what it gives sealed: no database has it in the clear, nor a copy of one."""
