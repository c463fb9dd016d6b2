CREATE TABLE proposals (
    id TEXT PRIMARY KEY,
    seq BIGINT NOT NULL UNIQUE,
    community TEXT NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    audience TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closes_at BIGINT NOT NULL,
    electors BIGINT NOT NULL,
    grievance TEXT,
    state TEXT NOT NULL,
    tally TEXT,
    result TEXT,
    decided_at BIGINT,
    unexecuted TEXT
);
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
);

CREATE TABLE votes (
    proposal TEXT NOT NULL,
    seq BIGINT NOT NULL,
    account TEXT NOT NULL,
    device TEXT NOT NULL,
    record TEXT NOT NULL,
    choice TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (proposal, seq)
);
CREATE INDEX votes_account ON votes (proposal, account);

CREATE TABLE community_settings (
    community TEXT NOT NULL,
    setting TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (community, setting)
);
