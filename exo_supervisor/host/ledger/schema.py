"""The tables of the ledger's file, version by version.

What repeats from attempt to attempt stands once, in `kind`: to bind a text costs four times as much
as to bind a number, and a None ten times, so that most of a row is numbers and what is not known is
left out of it. `attempts` is the view for people: `sqlite3 ledger.db 'SELECT * FROM attempts'`.
"""

STEPS = (
    """
    CREATE TABLE kind (
        id INTEGER PRIMARY KEY,
        client TEXT NOT NULL,
        target TEXT NOT NULL,
        side TEXT NOT NULL,
        asked TEXT NOT NULL,
        model TEXT NOT NULL,
        dialect TEXT NOT NULL,
        fault TEXT NOT NULL,
        status INTEGER NOT NULL,
        UNIQUE (client, target, side, asked, model, dialect, fault, status)
    );
    CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        ts INTEGER NOT NULL,
        request_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES kind,
        duration INTEGER NOT NULL,
        ttft INTEGER,
        served_model TEXT,
        prompt_tokens INTEGER,
        completion_tokens INTEGER,
        cached_tokens INTEGER NOT NULL DEFAULT 0,
        cache_write_tokens INTEGER NOT NULL DEFAULT 0,
        cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0,
        reasoning_tokens INTEGER NOT NULL DEFAULT 0,
        estimated INTEGER NOT NULL DEFAULT 0,
        cost INTEGER,
        reported_cost INTEGER,
        local_cost INTEGER,
        saved INTEGER,
        response_id TEXT,
        session INTEGER NOT NULL DEFAULT 0,
        reserved INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE reservation (
        request_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        ts INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES kind,
        session INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (request_id, number)
    ) WITHOUT ROWID;
    CREATE VIEW attempts AS
        SELECT strftime('%Y-%m-%dT%H:%M:%S', ts / 1000, 'unixepoch') || 'Z' AS ended, request_id,
            number, client, target, side, asked, model, served_model, dialect, fault, status,
            duration / 1000.0 AS duration, ttft / 1000.0 AS ttft, prompt_tokens, completion_tokens,
            cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, estimated,
            cost, reported_cost, local_cost, saved, response_id, session, reserved
        FROM attempt JOIN kind ON kind.id = attempt.kind;
    """,
    # `last`: the request ended with this attempt. `day` sums up rows that are gone, by UTC's days,
    # which it counts from 1970.
    """
    ALTER TABLE attempt ADD COLUMN last INTEGER NOT NULL DEFAULT 1;
    CREATE TABLE day (
        day INTEGER NOT NULL,
        kind INTEGER NOT NULL REFERENCES kind,
        requests INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        reported_cost INTEGER NOT NULL,
        cost_of_reported INTEGER NOT NULL,
        local_cost INTEGER NOT NULL,
        saved INTEGER NOT NULL,
        PRIMARY KEY (day, kind)
    ) WITHOUT ROWID;
    """,
    # Money of two currencies is never added up: rows of before are taken to be in that of the first
    # opening after it, which `BORN` notes.
    """
    CREATE TABLE named (
        id INTEGER PRIMARY KEY,
        client TEXT NOT NULL,
        target TEXT NOT NULL,
        side TEXT NOT NULL,
        asked TEXT NOT NULL,
        model TEXT NOT NULL,
        dialect TEXT NOT NULL,
        fault TEXT NOT NULL,
        status INTEGER NOT NULL,
        currency TEXT NOT NULL,
        UNIQUE (client, target, side, asked, model, dialect, fault, status, currency)
    );
    INSERT INTO named SELECT *, '' FROM kind;
    DROP VIEW attempts;
    DROP TABLE kind;
    ALTER TABLE named RENAME TO kind;
    CREATE VIEW attempts AS
        SELECT strftime('%Y-%m-%dT%H:%M:%S', ts / 1000, 'unixepoch') || 'Z' AS ended, request_id,
            number, client, target, side, asked, model, served_model, dialect, fault, status,
            duration / 1000.0 AS duration, ttft / 1000.0 AS ttft, prompt_tokens, completion_tokens,
            cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, estimated,
            cost, reported_cost, local_cost, saved, currency, response_id, session, reserved
        FROM attempt JOIN kind ON kind.id = attempt.kind;
    """,
)
"""What makes each version of the one before it; the file's `user_version` counts them."""
BORN = "UPDATE kind SET currency = ? WHERE currency = ''"

FIGURES = {
    "requests": "last",
    "attempts": "1",
    "prompt_tokens": "IFNULL(prompt_tokens, 0)",
    "cached_tokens": "cached_tokens",
    "completion_tokens": "IFNULL(completion_tokens, 0)",
    "reasoning_tokens": "reasoning_tokens",
    "estimated": "estimated",
    "unpriced": "(side = 'cloud' AND cost IS NULL"
    " AND (prompt_tokens IS NOT NULL OR completion_tokens IS NOT NULL OR fault = 'crashed'))",
    "cost": "IFNULL(cost, 0)",
    "reported_cost": "IIF(cost IS NULL, 0, IFNULL(reported_cost, 0))",
    "cost_of_reported": "IIF(reported_cost IS NULL, 0, IFNULL(cost, 0))",
    "local_cost": "IFNULL(local_cost, 0)",
    "saved": "IFNULL(saved, 0)",
}
"""What is summed up, in the columns of `day`, and what a row of `attempt` adds to each."""
