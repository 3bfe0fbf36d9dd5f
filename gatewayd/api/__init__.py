"""The contract with plugins: what their authors import. Values, roles and hooks; it does no work of its own."""
