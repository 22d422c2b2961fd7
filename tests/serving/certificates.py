"""Certificates for the tests of TLS."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="makes certificates with openssl")


def self_signed(folder: Path, name: str = "server") -> tuple[Path, Path]:
    """Key and certificate of this machine, which vouches for itself."""
    key, certificate = folder / f"{name}_key.pem", folder / f"{name}.pem"
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    line += f" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(line.split(), check=True, capture_output=True)
    return key, certificate
