CREATE TABLE grievances (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL UNIQUE,
    community TEXT NOT NULL,
    complainant TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    facts TEXT NOT NULL,
    filed_at INTEGER NOT NULL,
    members INTEGER NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER,
    proposed TEXT,
    accepted TEXT,
    juries INTEGER NOT NULL,
    vote TEXT,
    resolution TEXT,
    ended_at INTEGER
) STRICT;
CREATE INDEX grievances_due ON grievances (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX grievances_complainant ON grievances (complainant, filed_at);
CREATE INDEX grievances_subject ON grievances (subject, complainant);
CREATE INDEX grievances_filed ON grievances (community, seq) WHERE state = 'filed';

-- Who has which part in a grievance, or had it.
CREATE TABLE grievance_people (
    grievance TEXT NOT NULL,
    account TEXT NOT NULL,
    part TEXT NOT NULL,
    PRIMARY KEY (grievance, account)
) STRICT;
CREATE INDEX grievance_people_account ON grievance_people (account, grievance);

-- What was done about a grievance, in the order of the log.
CREATE TABLE grievance_steps (
    grievance TEXT NOT NULL,
    seq INTEGER NOT NULL,
    account TEXT NOT NULL,
    record TEXT NOT NULL,
    step TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (grievance, seq)
) STRICT;

-- Each draw of jurors as it was: its places, the lots and who has the first of them, as JSON.
CREATE TABLE grievance_draws (
    grievance TEXT NOT NULL,
    seq INTEGER NOT NULL,
    draw TEXT NOT NULL,
    PRIMARY KEY (grievance, seq)
) STRICT;

-- What a jury was paid by the community's treasury, all of its jurors together: of a grievance, or of a deal's case.
CREATE TABLE juror_rewards (
    operation TEXT PRIMARY KEY,
    community TEXT NOT NULL,
    amount INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX juror_rewards_community ON juror_rewards (community, at);
