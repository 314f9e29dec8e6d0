"""The ledger's SQLite file: private to its owner, and brought up to date when it is opened."""

import os
import sqlite3
from os import PathLike

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS charges (
        id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, day TEXT NOT NULL,
        endpoint TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
        tokens_prompt INTEGER NOT NULL, tokens_completion INTEGER NOT NULL,
        units INTEGER NOT NULL, cost INTEGER NOT NULL, byok INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS replays (
        key TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, request_id TEXT NOT NULL,
        media_type TEXT NOT NULL, body BLOB NOT NULL, complete INTEGER NOT NULL
    );
    """,
    """
    ALTER TABLE charges ADD COLUMN requests INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE charges ADD COLUMN api_key TEXT;
    ALTER TABLE charges ADD COLUMN session_id TEXT;
    ALTER TABLE charges ADD COLUMN client_ip TEXT;
    CREATE TABLE transactions (
        id INTEGER PRIMARY KEY, transaction_id TEXT NOT NULL, amount TEXT NOT NULL, type TEXT NOT NULL,
        method TEXT NOT NULL, description TEXT NOT NULL, at REAL NOT NULL
    );
    CREATE TABLE api_keys (
        id INTEGER PRIMARY KEY, digest BLOB NOT NULL, masked TEXT NOT NULL, name TEXT NOT NULL,
        active INTEGER NOT NULL, created_at REAL NOT NULL, expires_at REAL, last_used_at REAL,
        deleted INTEGER NOT NULL DEFAULT 0
    );
    """,
)


def opened(database: str | PathLike[str] | None) -> sqlite3.Connection:
    """The connection to a ledger's file, or to one in memory."""
    if database is not None:
        _make_private(database)
    path = ":memory:" if database is None else os.fspath(database)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise ValueError("the database was written by a newer version of the sandbox")
    for number, script in enumerate(_MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def _make_private(database: str | PathLike[str]) -> None:
    # SQLite gives its log files the mode of the database, so that this covers them too
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    os.chmod(database, 0o600)
