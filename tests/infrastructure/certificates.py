"""Certificates for servers of the tests, by a certificate authority that nobody else trusts."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import trustme

from tests.infrastructure.process import folder_of, group_of, unprivileged


class Certificate(NamedTuple):
    """A server's certificate, and the key that only the server reads."""

    certificate: Path
    key: Path


@contextmanager
def certificate_for(authority: trustme.CA, name: str, server: str) -> Iterator[Certificate]:
    """Issue a certificate for the host `name`, in files that the user called `server` may read."""
    user = unprivileged(server)
    issued = authority.issue_cert(name)
    with folder_of(user) as folder:
        files = Certificate(folder / "server.pem", folder / "server.key")
        issued.cert_chain_pems[0].write_to_path(files.certificate)
        issued.private_key_pem.write_to_path(files.key)
        files.key.chmod(0o600)
        for file in files:
            if user:
                shutil.chown(file, user, group_of(user))
        yield files
