-- Version 3; people.sql has what version 4 adds, accounts.sql version 5. Entries are the facts; tables marked "derived" are functions of
-- them (store/check.rs rebuilds and compares). The others hold what tasks are
-- made of: no counts, no money.

CREATE TABLE entries (
    seq   INTEGER PRIMARY KEY,   -- from 1, without gaps
    kind  INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- Derived.
CREATE TABLE owners (
    id       INTEGER PRIMARY KEY,   -- in order of their first entry
    name     TEXT NOT NULL UNIQUE,
    tag      BLOB NOT NULL UNIQUE,  -- what entries call it
    balance  INTEGER NOT NULL       -- fuel not reserved by a job
) STRICT;

-- Derived: owners' keys. An owner has at most one that lives.
CREATE TABLE keys (
    hash  BLOB PRIMARY KEY,         -- SHA-256 of the key's text
    owner INTEGER NOT NULL,
    live  INTEGER NOT NULL          -- 0: revoked
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_owner ON keys (owner);

-- Derived.
CREATE TABLE nodes (
    key     BLOB PRIMARY KEY,
    fuel    INTEGER NOT NULL,   -- of its receipts that agree with canonical results
    tasks   INTEGER NOT NULL,   -- those receipts
    account BLOB                -- whose it is, if linked
) STRICT, WITHOUT ROWID;

-- Derived: nodes whose answer lost against a canonical one. From there on
-- nothing of theirs is paid.
CREATE TABLE caught (
    node BLOB PRIMARY KEY,
    seq  INTEGER NOT NULL       -- the settlement
) STRICT, WITHOUT ROWID;

-- Derived: the receipt that ended a lease.
CREATE TABLE leases (
    lease BLOB PRIMARY KEY,
    seq   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Derived, but for the hint: the receipts on a task.
CREATE TABLE votes (
    task INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    hint TEXT,                  -- unsigned, from the node
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;

-- Derived: what owners are told of a job, in order.
CREATE TABLE results (
    job   INTEGER NOT NULL,
    final INTEGER NOT NULL,     -- 0: seq is a receipt; 1: seq settled a task
    seq   INTEGER NOT NULL,
    PRIMARY KEY (job, final, seq)
) STRICT, WITHOUT ROWID;

-- Derived: entries that decided something about a node.
CREATE TABLE decisions (
    node BLOB NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (node, seq)
) STRICT, WITHOUT ROWID;

-- Derived: facts that were logged as they are, by SHA-256 of kind and bytes.
CREATE TABLE facts (
    digest BLOB PRIMARY KEY,
    seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- state, tasks, voted, done, failed, budget and spent are derived.
CREATE TABLE jobs (
    row        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    owner      INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    template   TEXT NOT NULL,      -- api::NewJob without its tasks
    admitted   BLOB NOT NULL,
    admission  INTEGER NOT NULL,
    module_bytes INTEGER NOT NULL,
    first_task INTEGER NOT NULL,   -- tasks.id of its task 0; the others follow
    tasks      INTEGER NOT NULL,
    voted      INTEGER NOT NULL,   -- tasks with a receipt at least
    done       INTEGER NOT NULL,   -- tasks that are settled
    failed     INTEGER NOT NULL,
    budget     INTEGER NOT NULL,
    spent      INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_owner ON jobs (owner);
CREATE INDEX jobs_running ON jobs (state) WHERE state = 0;

-- result and settled are derived.
CREATE TABLE tasks (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    input       BLOB NOT NULL,
    input_bytes INTEGER NOT NULL,
    result      INTEGER,            -- entries.seq of the canonical result's receipt
    settled     INTEGER             -- entries.seq of what settled it
) STRICT;

-- Output lists of at most 64 KiB, by the receipt that names them.
CREATE TABLE outputs (
    seq   INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

-- Input lists of at most 64 KiB.
CREATE TABLE bodies (
    digest BLOB PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

-- Blob files that something refers to; the sweep deletes the others.
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE modules (
    owner          INTEGER NOT NULL,
    source         BLOB NOT NULL,
    admitted       BLOB NOT NULL,
    admission      INTEGER NOT NULL,
    source_bytes   INTEGER NOT NULL,
    admitted_bytes INTEGER NOT NULL,
    memory_pages   INTEGER NOT NULL,
    PRIMARY KEY (owner, source)
) STRICT, WITHOUT ROWID;

-- Model files that the operator installed: public.
CREATE TABLE models (
    digest       BLOB PRIMARY KEY,  -- of its header, which is a blob
    name         TEXT NOT NULL UNIQUE,
    work         TEXT NOT NULL,     -- embed or generate
    context      INTEGER NOT NULL,  -- tokens
    header_bytes INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,  -- of all blocks
    added_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE model_blocks (
    model  BLOB NOT NULL,
    number INTEGER NOT NULL,        -- from 0
    digest BLOB NOT NULL,           -- a blob
    PRIMARY KEY (model, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_blocks_by_digest ON model_blocks (digest);

-- Input lists that an owner put.
CREATE TABLE inputs (
    owner  INTEGER NOT NULL,
    digest BLOB NOT NULL,
    bytes  INTEGER NOT NULL,        -- size; more than 64 KiB: a blob file
    PRIMARY KEY (owner, digest)
) STRICT, WITHOUT ROWID;
