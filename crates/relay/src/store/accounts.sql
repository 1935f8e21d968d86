-- Version 5: an account's nodes are found without reading all.
CREATE INDEX nodes_by_account ON nodes (account) WHERE account IS NOT NULL;
