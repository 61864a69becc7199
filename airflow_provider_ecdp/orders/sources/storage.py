"""Access to storage: file systems of paths, names in messages, versions of files, and errors."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_ecdp.errors import EcdpError, ExtractError

#: User and password in a URL: to the last @, since a password may hold one, and a slash. A name alone is that of one of
#: Airflow's connections, but for HTTP, which has tokens there.
_CREDENTIALS = re.compile(r"(?<=://)[^/@:\s]*:[^\s\"'<>]*@|(?:(?<=http://)|(?<=https://))[^/@\s\"'<>]+@")

#: The password in a text that is one URL as a whole: it may hold spaces and quotes too.
_PASSWORD = re.compile(r"(?<=://)[^/@:\s]*:(.*)@", re.DOTALL)

#: Minimum characters of a password that is replaced anywhere in an error; a shorter one may be part of any word.
_ANYWHERE = 6

#: Credentials in signed URLs (S3, GCS, Azure) and in connection strings.
_SIGNATURE = re.compile(
    r"""
    \b(
        X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token) | sig | Signature | AWSAccessKeyId | GoogleAccessId
      | AccountKey | SharedAccessKey | SharedAccessSignature | (?:access_?|sas_?|session_?)?token
      | (?:secret|access|account|api)_?(?:access_?)?key | aws_secret_access_key | secret | password
      | (?<=[?&])(?:key|code|auth|pwd|pass)
    )=[^&\s"'<>]+
    """,
    re.VERBOSE | re.IGNORECASE,
)

_NO_CREDENTIALS = (
    "this storage does not accept a user and password in a URL, or not with / ? # [ ] in them; remove them, and use "
    "its environment variables or an Airflow connection"
)

#: Properties that identify a version of a file: tags, which are enough, or else its size and times.
_TAGS = ("etag", "generation", "content_md5")
_FACTS = ("size", "ino", "mtime", "created")

#: Facts of one version of a file.
Version = Mapping[str, str]


def located(path: str | os.PathLike[str], filesystem: Any = None) -> tuple[Any, str]:
    """Return the file system of a path, found from its URL if none is given, and the path in it.

    :raises ExtractError: the path is empty, its protocol is unknown, or its storage cannot be reached
    """
    inner = os.fspath(path)
    if not inner.strip():
        # the working directory, to a file system
        raise ExtractError("the path of the extract is empty; does a template render to nothing?")
    if filesystem is None:
        with reading(None, inner):
            try:
                filesystem, inner = file_system(inner)
            except (ImportError, ValueError) as error:
                raise ExtractError(without_credentials(f"{inner}: {error}", inner)) from None
    # Airflow keeps file systems, and they keep listings: an earlier task of this process may have read them
    filesystem.invalidate_cache()
    return filesystem, stripped(filesystem, inner)


def stripped(filesystem: Any, path: str) -> str:
    """Return a path without its protocol, as `filesystem` lists it."""
    return str(filesystem._strip_protocol(path))  # noqa: SLF001 - fsspec has no public name for it


def below(filesystem: Any, folder: str, path: str) -> str:
    """Return the path of a file or a folder relative to `folder`, which is above it; empty for `folder` itself."""
    above = stripped(filesystem, folder).rstrip("/") + "/"
    return f"{stripped(filesystem, path).rstrip('/')}/".removeprefix(above).rstrip("/")


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, or of a local path, and the path in it.

    Some file systems connect here (FTP, SFTP, HDFS, archives in a chain) and raise any error of their own.

    :raises ImportError: the package of its protocol is not installed
    :raises ValueError: its protocol is unknown, it is malformed, or it holds credentials that its protocol ignores
    """
    if "::" not in url or _is_chain(url):
        try:
            filesystem, path = fsspec.url_to_fs(url)
        except ValueError:
            _refuse_unreadable_credentials(url)
            raise
        _refuse_ignored_credentials(url, str(path))
        return filesystem, str(path)
    # two colons in the name of a file or a folder
    protocol, separator, _ = url.partition("://")
    cls = fsspec.get_filesystem_class(protocol if separator else "file")
    return cls(**cls._get_kwargs_from_urls(url)), url


def _refuse_ignored_credentials(url: str, path: str) -> None:
    """Refuse credentials that stay in the path: the storage would take them for a bucket, and name it in its errors."""
    credentials = credentials_in(url)
    # HTTP takes them from the path, which is the whole URL
    if credentials and credentials in path and "://" not in path:
        raise ValueError(_NO_CREDENTIALS)


def _refuse_unreadable_credentials(url: str) -> None:
    """Refuse credentials that a URL cannot hold: the error about them quotes the password's beginning, as a port."""
    try:
        _ = urlsplit(f"//{credentials_in(url)}host").port
    except ValueError:
        raise ValueError(_NO_CREDENTIALS) from None


def credentials_in(url: str) -> str:
    """Return `user:password@` of a URL, empty if it has none. A bucket that is an ARN has colons too."""
    match = _CREDENTIALS.search(url)
    return match[0] if match and not match[0].startswith("arn:") else ""


def _is_chain(url: str) -> bool:
    """Whether `::` joins URLs, such as `simplecache::s3://bucket/key`."""
    first, second, *_ = url.split("::")
    return first in fsspec.available_protocols() or ("://" in first and ("://" in second or second[:1] == "/"))


def display_path(filesystem: Any, path: str) -> str:
    """Return a path of `filesystem` for messages: its URL, or a local path unchanged."""
    if isinstance(filesystem, LocalFileSystem):
        return path
    return without_credentials(str(filesystem.unstrip_protocol(path)))


def without_credentials(text: str, url: str = "") -> str:
    """Return a URL, or a text that may hold some, without user, password and signature.

    :param url: the URL that the text is, or is about: its password is replaced wherever the text has it
    """
    match = _PASSWORD.search(url)
    password = match[1] if match else ""
    if password:
        text = text.replace(f":{password}@", ":@")
    for spelling in {password, unquote(password), quote(password)}:
        if len(spelling) >= _ANYWHERE:
            text = text.replace(spelling, "[redacted]")
    return _SIGNATURE.sub(r"\1=[redacted]", _CREDENTIALS.sub("", text))


def version_of(filesystem: Any, path: str, *, fresh: bool) -> Version:
    """Return the facts that distinguish this version of a file from another.

    :param fresh: ask the storage even where a listing that was read before has the answer
    """
    if isinstance(filesystem, LocalFileSystem):
        stat = os.stat(path)  # noqa: PTH116 - the path is text
        return {"size": str(stat.st_size), "ino": str(stat.st_ino), "mtime": str(stat.st_mtime_ns)}
    if fresh:
        filesystem.invalidate_cache(path)
    info = {key.lower().replace("-", "_"): value for key, value in filesystem.info(path).items()}
    info.setdefault("mtime", info.get("last_modified", info.get("lastmodified")))
    return {key: str(info[key]).strip('"') for key in (*_TAGS, *_FACTS) if info.get(key) is not None}


def same_version(first: Version, second: Version) -> bool:
    """Whether two readings of `version_of` are of one version."""
    shared = first.keys() & second.keys()
    return all(first[key] == second[key] for key in shared.intersection(_TAGS) or shared)


@contextlib.contextmanager
def reading(filesystem: Any, name: str) -> Iterator[None]:
    """Turn errors of `filesystem`, or of opening one, into ExtractError with `name`."""
    try:
        yield
    except EcdpError:
        raise
    except Exception as error:
        # without a network or credentials, the clients of S3, GCS and Azure raise errors that are not OSError
        local = isinstance(filesystem, LocalFileSystem)
        if local and not isinstance(error, OSError):
            raise
        cause = without_credentials(str(error) or type(error).__name__, name)
        failure = ExtractError(f"{without_credentials(name, name)}: cannot be read: {cause}")
        # for damaged pages, too, Arrow raises an OSError without an errno
        broken = local and getattr(error, "errno", None) is None
        failure.of_storage = not broken and not isinstance(error, FileNotFoundError | ValueError)
        raise failure from error
