-- Version 4: people. As above: "derived" tables are functions of the entries;
-- the others hold what the log doesn't: names, codes, browsers. What is in them
-- is forgotten when its account is deleted.

-- Derived: invitation codes.
CREATE TABLE invitations (
    code    BLOB PRIMARY KEY,   -- its digest
    account BLOB NOT NULL,      -- who made it
    kind    INTEGER NOT NULL,
    uses    INTEGER NOT NULL,   -- how many nodes may come by it
    used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitations_by_account ON invitations (account);

-- Derived: the code that a node came by.
CREATE TABLE invited (
    node BLOB PRIMARY KEY,
    code BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Derived.
CREATE TABLE teams (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Derived: the team that an account is in.
CREATE TABLE members (
    account BLOB PRIMARY KEY,
    team    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Derived: accounts that were deleted.
CREATE TABLE closed (
    account BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Derived.
CREATE TABLE campaigns (
    id     BLOB PRIMARY KEY,
    end_ms INTEGER NOT NULL,
    closed INTEGER NOT NULL     -- 1: by the operator, before its end
) STRICT, WITHOUT ROWID;

-- What accounts and teams are called.
CREATE TABLE names (
    of   BLOB PRIMARY KEY,      -- an account's key, a team's id
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a code is, and is for.
CREATE TABLE codes (
    code    BLOB PRIMARY KEY,   -- its digest
    text    TEXT NOT NULL,
    name    TEXT,
    origins TEXT NOT NULL,      -- JSON list
    made_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The browser in which a node ran last.
CREATE TABLE browsers (
    node    BLOB PRIMARY KEY,
    browser BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browsers_by_browser ON browsers (browser);
