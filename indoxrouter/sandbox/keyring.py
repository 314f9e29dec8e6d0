"""The account's API keys: their digests in the ledger's file, never the keys themselves."""

import secrets
import sqlite3
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from indoxrouter.sandbox.dates import moment
from indoxrouter.sandbox.errors import detail, unauthorized

OWN = 1
"""The id of the key that the sandbox was started with."""
_DAY = 86400
_SAVED_EVERY = 1.0  # seconds; when a key was last used is not written at each use


@dataclass(eq=False)
class Key:
    """One key; times are seconds since 1970."""

    id: int
    digest: bytes
    masked: str
    name: str
    active: bool  # SQLite's 0 or 1 when read back
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None
    saved_at: float = 0.0

    def check(self) -> None:
        """Refuses a caller with this key if it is out of use."""
        if not self.active:
            raise unauthorized("API key has been revoked")
        if self.expires_at is not None and time.time() >= self.expires_at:
            raise unauthorized("API key has expired")

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "api_key": self.masked,
            "name": self.name,
            "is_active": bool(self.active),
            "created_at": moment(self.created_at),
            "expires_at": moment(self.expires_at),
            "last_used_at": moment(self.last_used_at),
        }


class KeyRing:
    """Every key of the account that was not deleted."""

    def __init__(self, db: sqlite3.Connection, own: str) -> None:
        self._db = db
        if db.execute("SELECT 1 FROM api_keys WHERE digest = ?", (_digest(own),)).fetchone() is None:
            row = (OWN, _digest(own), _masked(own), "Sandbox key", True, time.time())
            db.execute("INSERT OR REPLACE INTO api_keys VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, 0)", row)
        rows = db.execute(
            "SELECT id, digest, masked, name, active, created_at, expires_at, last_used_at"
            " FROM api_keys WHERE NOT deleted ORDER BY id"
        )
        self._keys = {row[0]: Key(*row) for row in rows}
        self._by_digest = {key.digest: key for key in self._keys.values()}

    def find(self, written: str) -> Key | None:
        return self._by_digest.get(_digest(written))

    def used(self, key: Key) -> Key:
        """The key, with its last use noted; one that is out of use is refused."""
        key.check()
        key.last_used_at = now = time.time()
        if now - key.saved_at >= _SAVED_EVERY:
            self._save(key)
        return key

    def rows(self) -> list[dict[str, Any]]:
        return [key.row() for key in self._keys.values()]

    def create(self, name: str, days: float | None) -> dict[str, Any]:
        """A new key's row, which alone tells the whole key."""
        written, now = "sandbox-" + secrets.token_hex(16), time.time()
        number = self._db.execute("SELECT max(id) FROM api_keys").fetchone()[0] + 1
        expiry = None if days is None else now + days * _DAY
        key = Key(number, _digest(written), _masked(written), name, True, now, expiry)
        row = (key.id, key.digest, key.masked, name, True, now, expiry)
        self._db.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 0)", row)
        self._keys[key.id] = self._by_digest[key.digest] = key
        return key.row() | {"api_key": written}

    def get(self, number: int) -> Key:
        key = self._keys.get(number)
        if key is None:
            raise detail(404, f"API key {number} was not found.")
        return key

    def switch(self, key: Key, *, active: bool) -> None:
        key.active = active
        self._db.execute("UPDATE api_keys SET active = ? WHERE id = ?", (active, key.id))

    def delete(self, key: Key) -> None:
        # the row stays: its id is not given again, and the next start does not bring the sandbox's own key back
        key.active = False
        del self._keys[key.id], self._by_digest[key.digest]
        self._db.execute("UPDATE api_keys SET active = 0, deleted = 1 WHERE id = ?", (key.id,))

    def save(self) -> None:
        for key in self._keys.values():
            self._save(key)

    def _save(self, key: Key) -> None:
        key.saved_at = key.last_used_at or 0.0
        self._db.execute("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (key.last_used_at, key.id))


def _digest(written: str) -> bytes:
    return sha256(written.encode(errors="replace")).digest()


def _masked(written: str) -> str:
    """As the client masks a key that it is told whole: a new key is shown then as it is listed later."""
    if len(written) >= 20:
        return f"{written[:4]}…{written[-4:]}"
    return "…" + (written[-4:] if len(written) >= 12 else "")
