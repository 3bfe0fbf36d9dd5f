"""The YAML fields of the directory ``csv``."""

from __future__ import annotations

from pydantic import Field

from gatewayd import ConfigPath, Directory

__all__ = ["CsvOptions"]


class CsvOptions(Directory.Options, use_attribute_docstrings=False):
    """Where the files lie."""

    folder: ConfigPath = Field(
        description="Folder with persons.csv, customers.csv and so on; a relative path counts from the config folder."
    )
