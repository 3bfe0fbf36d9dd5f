"""The kernel's own fields of the three kinds of YAML file, as frozen models. A plugin's fields are beside them in the file."""
