"""The settings of methods, a file for each kind. A file in this folder is found by being here."""

from importlib import import_module
from pkgutil import iter_modules

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
