CREATE TABLE proposals (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    community TEXT NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    audience TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closes_at INTEGER NOT NULL,
    electors INTEGER NOT NULL,
    grievance TEXT,
    state TEXT NOT NULL,
    tally TEXT,
    result TEXT,
    decided_at INTEGER,
    unexecuted TEXT
) STRICT;
CREATE INDEX proposals_community ON proposals (community, seq);
-- Votes of juries are in no list.
CREATE INDEX proposals_listed ON proposals (seq) WHERE grievance IS NULL;
CREATE INDEX proposals_grievance ON proposals (grievance) WHERE grievance IS NOT NULL;
CREATE INDEX proposals_open ON proposals (closes_at, id) WHERE state = 'open';
CREATE INDEX proposals_open_author ON proposals (community, author) WHERE state = 'open';
CREATE INDEX proposals_author ON proposals (author, opened_at);

CREATE TABLE electors (
    proposal TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (proposal, account)
) STRICT;

CREATE TABLE votes (
    proposal TEXT NOT NULL,
    seq INTEGER NOT NULL,
    account TEXT NOT NULL,
    device TEXT NOT NULL,
    record TEXT NOT NULL,
    choice TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (proposal, seq)
) STRICT;
CREATE INDEX votes_account ON votes (proposal, account);

CREATE TABLE community_settings (
    community TEXT NOT NULL,
    setting TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (community, setting)
) STRICT;
