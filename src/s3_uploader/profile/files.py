"""Read a profile's section and the names of the AWS profiles; never quote a malformed file."""

import configparser
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from s3_uploader.errors import ConfigError
from s3_uploader.ini import ini_fault, read_ini
from s3_uploader.profile.value import Warnings


def read_section(
    file: Path, name: str, *, needed: bool
) -> tuple[Mapping[str, str] | None, Warnings]:
    """Return the profile's section, or None; a file that is not `needed` may be invalid.

    Raises:
        ConfigError: the file is needed, and cannot be read or is malformed.
    """
    try:
        parser, mode = read_ini(file)
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        if not needed:
            return None, ()
        raise _unreadable(file, error) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        if not needed:
            return None, ()
        reason = ini_fault(error)
        raise ConfigError("config.malformed", path=str(file), reason=reason, profile=name) from None
    if not parser.has_section(name):
        return None, ()
    section = {key: value.strip() for key, value in parser[name].items()}
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return section, (("config.readable_by_others", {"path": str(file)}),)
    return section, ()


def aws_profiles(environ: Mapping[str, str]) -> set[str]:
    """Return the names of the existing AWS profiles.

    Raises:
        ConfigError: an AWS configuration file cannot be read, or is malformed.
    """
    return _aws_sections(environ, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials") | {
        section.removeprefix("profile ")
        for section in _aws_sections(environ, "AWS_CONFIG_FILE", "~/.aws/config")
    }


def _aws_sections(environ: Mapping[str, str], variable: str, default: str) -> set[str]:
    """Return the sections of an AWS configuration file, which is found as botocore finds it."""
    file = Path(os.path.expanduser(os.path.expandvars(environ.get(variable) or default)))
    try:
        return set(read_ini(file)[0].sections())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return set()
    except OSError as error:
        raise _unreadable(file, error) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError("config.aws_malformed", path=str(file), reason=ini_fault(error)) from None


def _unreadable(file: Path, error: OSError) -> ConfigError:
    return ConfigError("config.unreadable", path=str(file), reason=error.strerror or "error")
