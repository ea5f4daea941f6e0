"""The demonstration stand's own secrets: made once, kept in an ignored file, never used in production."""

import base64
import os
import secrets
from pathlib import Path


def read_secrets(path: Path) -> dict[str, str]:
    """Return the stand's secrets, making the file on first use.

    Written to a temporary name and linked into place, so that two processes starting together
    end up with one and the same file.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "VAULT_KEYS": "k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DIGEST_KEY": secrets.token_urlsafe(32),
            "DEMO_PASSWORD": "-".join(secrets.token_hex(2) for _ in range(3)),
        }
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text("".join(f"{name}={value}\n" for name, value in made.items()))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    lines = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in lines}
