// The verdict on a grievance from its bundle (`earnest grievance bundle`), by docs/credentials.md, docs/grievances.md and docs/architecture.md
// alone, with no code of the product and nothing but Node:  node grievance.mjs BUNDLE DID
// DID is the device of the hub whose word is taken (did:key:…, in its /.well-known/did.json). Prints the verdict as JSON. Ends with 0 where
// the records make it, 3 where anything contradicts them, 1 where the file is of no grievance.
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { counted, digest, outcomeOf, resultOf, ruleOf, takes } from './ballots.mjs';
import { canonical, credential, genuine, included, integer, isRevoked, moment, must, sha256, signer, word } from './records.mjs';

const JURIES = 3;
const JURORS = 13;
const OFFERED = 500;
const TRIES = 8_000;
const LAST = 1n << 63n;

const OPEN = ['filed', 'mediation', 'proposed', 'escalated'];
const MEDIATED = ['mediation', 'proposed'];
const PARTIES = ['complainant', 'respondent'];

/** docs/grievances.md, "States": a step, in which states it is taken, of whom, and where it leads; none: it stays there. */
const STEPS = [
  ['take', ['filed'], ['steward'], 'mediation'],
  ['evidence', OPEN, [...PARTIES, 'holder']],
  ['propose', MEDIATED, ['mediator'], 'proposed'],
  ['accept', ['proposed', 'escalated'], PARTIES],
  ['reject', ['proposed'], PARTIES, 'escalated'],
  ['conflict', MEDIATED, ['mediator'], 'escalated'],
  ['conflict', ['escalated'], ['juror']],
  ['community_wide', MEDIATED, ['mediator'], 'escalated'],
  ['withdraw', OPEN, ['complainant'], 'resolved'],
];

/** Of which kinds a remedy is, and what may come of it. */
const REMEDIES = {
  statement: [['trade', 'contribution', 'attestation', 'membership'], ['rejected', 'upheld']],
  reversal: [['trade', 'contribution'], ['rejected', 'partial_adjustment', 'void_transaction']],
  revocation: [['attestation'], ['rejected', 'upheld']],
  restoration: [['membership'], ['rejected', 'upheld']],
  removal: [['membership'], ['rejected', 'upheld']],
};

const same = (one, other) => canonical(one) === canonical(other);
const speaker = ({ author, id }) => author ?? id;
/** `"take"` and `{"evidence": {…}}` alike: the name, and what is in it. */
const named = (value) => (typeof value === 'string' ? [value, {}] : Object.entries(value)[0]);

/** How many of so many members are offered for a jury (docs/grievances.md, "Juries"). */
export function offered(entropy, members) {
  if (members <= BigInt(OFFERED)) return Number(members);
  const numbers = new Set();
  const nth = Buffer.alloc(4);
  for (let count = 0; count < TRIES && numbers.size < OFFERED; count += 1) {
    nth.writeUInt32BE(count);
    numbers.add(sha256(entropy, nth).readBigUInt64BE() % members + 1n);
  }
  return numbers.size;
}

/** Whether those were drawn whose lots come first. */
function lotsDecide({ entropy: text, places, members, lots, jurors }) {
  const entropy = word(text, 'entropy');
  const most = offered(entropy, integer(members, 'members'));
  must(lots.length <= most, `of ${members} members ${most} are offered, not ${lots.length}`);
  lots.forEach((lot, at) => must(word(lot, 'a lot') && (at === 0 || lots[at - 1] < lot), 'the lots must stand there once each, ascending'));
  const theirs = jurors.map((juror) => `0x${sha256(entropy, juror).toString('hex')}`);
  must(same(theirs, lots.slice(0, places)), `the jurors' lots are not the first ${places} of ${lots.length}`);
}

/** Those sit whom the next draw names: a whole jury, or one in the place of another. */
function sit(now, isWhole) {
  const draw = now.says.draws[now.drawn];
  lotsDecide(draw);
  now.drawn += 1;
  if (isWhole) {
    Object.assign(now, { jurors: new Set(), accepted: undefined });
    now.juries.push({ draws: [], vote: null, ballots: [], result: null });
    must(now.juries.length <= JURIES, `a grievance has at most ${JURIES} juries`);
  }
  const most = isWhole ? JURORS : 1;
  must(Number.isInteger(draw.places) && draw.places >= 1 && draw.places <= most, `it is for ${draw.places} places, and may be for ${most}`);
  const { payer, payee } = now.says.paid ?? {};
  const parts = [now.complainant, now.body.respondent, now.mediator, payer, payee, ...now.aside, ...now.others];
  for (const juror of draw.jurors) {
    must(!parts.includes(juror), `${juror} has a part in the grievance`);
    must(!now.jurors.has(juror), `${juror} sits already`);
    now.jurors.add(juror);
  }
  const { record, seq, places, lots, jurors } = draw;
  now.juries.at(-1).draws.push({ record, seq, places, lots: lots.length, jurors });
}

/** The draw that this record calls for. */
function seat(now, { record, seq }, isWhole) {
  const draw = now.says.draws[now.drawn];
  must(draw?.record === record.id && draw.seq === seq, 'it calls for a draw, and the hub tells none');
  sit(now, isWhole);
}

/** Earlier juries whose votes the reader may not read: that another one was drawn shows that they did not decide. */
function unseen(now, before) {
  for (let draw = now.says.draws[now.drawn]; draw && integer(draw.seq, 'seq') < before; draw = now.says.draws[now.drawn]) {
    must(now.state === 'voting' && !now.vote, `nothing calls for the draw of ${draw.record}`);
    now.open.push(`that jury ${now.juries.length} did not decide: its vote is not in the file`);
    now.state = 'escalated';
    sit(now, true);
  }
}

function actor(now, who, step) {
  if (who === now.complainant) return 'complainant';
  if (who === now.body.respondent) return 'respondent';
  if (who === now.mediator) return 'mediator';
  if (now.jurors.has(who)) return 'juror';
  // Only the hub knows its stewards, and whose a credential is.
  return step === 'take' ? 'steward' : 'holder';
}

const ends = (now, ending, outcome, at) => Object.assign(now, { state: 'resolved', end: { ending, outcome, at } });
const byHub = (now, record) => must(record.device === now.hub, 'it is not signed by the hub');

/** What a step changes beside the state. */
const ACTS = {
  take(now, who) {
    now.mediator = who;
  },
  evidence(now, who, { sha256: hash }) {
    if (hash !== null) now.evidence.push(hash);
  },
  propose(now, who, { outcome }, { record }) {
    const [name, { amount }] = named(outcome);
    must(REMEDIES[now.body.remedy][1].includes(name), `a ${now.body.remedy} has no such outcome`);
    const part = amount === undefined || integer(amount, 'amount');
    must(part === true || (part > 0n && part < integer(now.says.paid.amount, 'paid')), 'a part is more than nothing and less than the whole');
    Object.assign(now, { proposed: { id: record.id, outcome }, accepted: undefined });
  },
  accept(now, who, { proposal }, { at }) {
    must(now.proposed?.id === proposal, `${proposal} is not what was proposed then`);
    must(now.accepted !== who, 'the other party has to accept it');
    if (now.accepted === undefined) now.accepted = who;
    else ends(now, 'settled', now.proposed.outcome, at);
  },
  conflict(now, who, more, said) {
    now.aside.add(who);
    if (now.jurors.delete(who)) seat(now, said, false);
    else Object.assign(now, { mediator: undefined, proposed: undefined });
  },
  community_wide(now) {
    now.proposed = undefined;
  },
  withdraw(now, who, more, { at }) {
    ends(now, 'withdrawn', undefined, at);
  },
  reject() {},
};

/** What each record does to a grievance, in the order of the log. */
const HEARD = {
  'grievance@1'(now, said) {
    const { kind, remedy } = now.body;
    must(REMEDIES[remedy]?.[0].includes(kind), `a grievance of kind ${kind} has no remedy ${remedy}`);
    const { payer, payee } = now.says.paid ?? {};
    must(remedy !== 'reversal' || payer === now.complainant, 'a reversal is asked for by whoever paid');
    const parties = [now.complainant, now.body.respondent];
    must(kind !== 'trade' || (parties.includes(payer) && parties.includes(payee) && payer !== payee), 'a trade is between who paid and who was paid');
    now.state = 'filed';
    // More than a mediator may decide goes to a jury at once.
    if (now.says.draws[0]?.record === now.id) {
      now.state = 'escalated';
      seat(now, said, true);
    }
  },

  'grievance-step@1'(now, said) {
    const [step, more] = named(said.record.body.step);
    const who = speaker(said.record);
    const as = actor(now, who, step);
    const before = now.state;
    const row = STEPS.find(([name, states, by]) => name === step && states.includes(before) && by.includes(as));
    must(row, `a grievance that is ${before} takes no ${step} of the ${as}`);
    now.state = row[3] ?? before;
    ACTS[step](now, who, more, said);
    if (now.state === 'escalated' && before !== 'escalated') seat(now, said, true);
  },

  'grievance-timeout@1'(now, said) {
    byHub(now, said.record);
    must(said.record.body.state === now.state && OPEN.includes(now.state), `the grievance is ${now.state}`);
    if (now.state !== 'escalated') {
      now.state = 'escalated';
      seat(now, said, true);
    } else if (now.jurors.size === 0) {
      ends(now, 'undecided', undefined, said.at);
    } else {
      now.state = 'voting';
    }
  },

  'proposal@1'(now, { record }) {
    byHub(now, record);
    const { electorate, effect, rule, closes } = record.body;
    must(record.about === now.community, 'it is of another community');
    must(same(electorate, { jury: now.id }) && same(effect, { ruling: { grievance: now.id } }), 'it asks somebody else, or something else');
    must(same(rule, ruleOf(now.body.remedy)), `a jury decides on a ${now.body.remedy} by another rule`);
    must(now.state === 'voting' && !now.vote, `no jury is asked while the grievance is ${now.state}`);
    now.vote = { id: record.id, rule, closes: moment(closes, 'closes'), electors: [...now.jurors].sort(), ballots: [] };
    now.juries.at(-1).vote = record.id;
  },

  'vote@1'(now, { record, at }) {
    must(now.vote?.id === record.about, 'it is about no vote that is open then');
    const juror = speaker(record);
    const { choice } = record.body;
    must(now.vote.electors.includes(juror), `${juror} does not sit on the jury`);
    must(at < now.vote.closes, 'it came after the close');
    must(takes(now.vote.rule, choice), 'it says what the rule does not take');
    now.vote.ballots.push({ juror, choice, record: record.id });
  },

  'tally@1'(now, said) {
    const { device, about, body } = said.record;
    byHub(now, { device });
    must(now.vote?.id === about, 'it is about no vote that is open then');
    const { rule, closes, electors, ballots } = now.vote;
    const count = counted(ballots);
    const result = resultOf(electors.length, rule, count);
    must(said.at >= closes, 'it came before the close');
    must(body.electorate === digest(electors), 'its electors are not the jury that was drawn');
    must(body.ballots === digest(count.map(({ record }) => record)), 'its ballots are others');
    must(same(body.result, result), `it says ${canonical(body.result)}, and the ballots come to ${canonical(result)}`);
    Object.assign(now.juries.at(-1), { ballots: count, result });
    now.vote = undefined;
    const paid = now.says.paid ? integer(now.says.paid.amount, 'paid') : undefined;
    const outcome = outcomeOf(now.body.remedy, paid, result);
    if (outcome !== undefined) {
      ends(now, 'ruled', outcome, said.at);
    } else if (now.juries.length === JURIES) {
      ends(now, 'undecided', undefined, said.at);
    } else {
      now.state = 'escalated';
      seat(now, said, true);
    }
  },
};

/** From the filing to the end; nothing more is heard where one record does not hold. */
function hearing(now, records, entries, check) {
  for (const record of records.filter(({ id, type }) => HEARD[type] && id !== now.body.subject)) {
    const holds = check(`${record.type} ${record.id}`, () => {
      must(now.state !== undefined || record.id === now.id, 'it was said before the grievance');
      const { seq, received } = entries.find(({ id }) => id === record.id);
      if (now.state !== undefined) unseen(now, integer(seq, 'seq'));
      HEARD[record.type](now, { record, seq, at: moment(received, 'received') });
      return true;
    });
    if (!holds) return false;
  }
  return check('draws', () => unseen(now, LAST) ?? true);
}

/** How it ended, by its records and by the hub. */
function resolution(now) {
  const { ending, outcome, at } = now.says;
  if (!now.end && now.state === 'voting' && !now.vote) {
    now.open.push('what the last jury decided: its vote is not in the file');
    return "the hub's word";
  }
  must(now.end, `by its records the grievance is ${now.state}`);
  const told = { ending, outcome, at: moment(at, 'at') };
  must(same(now.end, told), `its records come to ${canonical(now.end)}, and the hub says ${canonical(told)}`);
  return 'its records';
}

/** What was paid, by the record that paid it: a transfer, or a capture and its hold. */
function payment({ says, body, open }, find) {
  const subject = find(body.subject);
  const hold = subject?.type === 'capture@1' ? find(subject.about) : undefined;
  if (subject?.type === 'transfer@1' || hold) {
    const { asset, to } = (hold ?? subject).body;
    must(same({ asset, payer: speaker(subject), payee: to, amount: subject.body.amount }, says.paid), 'the record that paid says otherwise');
  } else if (says.paid) {
    open.push(`that this was paid: ${body.subject}, or its hold, is not in the file`);
  }
}

/** Nothing stands there that has nothing to do with it. */
function about({ id, body }, records, find) {
  const hold = find(body.subject)?.about;
  const stray = records.find((record) => {
    const ofIt = [id, body.subject, hold].includes(record.id) || record.type === 'proposal@1';
    return !ofIt && record.about !== body.subject && !find(record.about);
  });
  must(!stray, `${stray?.id} is not about ${id}`);
}

/** What is given back because of it; null where nothing is. */
function givesBack({ paid, outcome, unexecuted }) {
  const [name, { amount }] = named(outcome);
  if (!paid || unexecuted !== null || ['rejected', 'upheld'].includes(name)) return null;
  return { from: paid.payee, to: paid.payer, asset: paid.asset, amount: amount ?? paid.amount };
}

/** What was to be done because of it, as far as records show that. */
function effect({ id, body, says, hub, open }, records, find) {
  if (says.unexecuted !== null) return open.push(`that nothing of it could be done: ${says.unexecuted}`);
  if (givesBack(says)) return open.push('that the ledger gave it back');
  if (says.outcome !== 'upheld') return undefined;
  if (['restoration', 'removal'].includes(body.remedy)) return open.push('who belongs to the community since');
  if (body.remedy !== 'revocation') return undefined;
  if (!find(body.subject)) return open.push(`that ${body.subject} was taken back: it is not in the file`);
  const because = ({ type, about: what, device, body: { reason } }) =>
    type === 'revocation@1' && what === body.subject && device === hub && reason === `grievance ${id}`;
  return must(records.some(because), `${body.subject} was to be taken back, and was not`);
}

/** A credential of the file: who says what of whom, and whether it stands. */
function attested(now, record, { records, status_lists: lists, log }) {
  const { said, device } = credential(record.body.credential);
  const { credentialSubject: subject, credentialStatus: entry } = said;
  must(device === said.issuer && device === record.device, `${said.issuer} has not signed it`);
  if (subject.grievance !== undefined) {
    const { ending, outcome } = now.says;
    const [name] = named(outcome);
    const lost = ending === 'ruled' && ['trade', 'contribution'].includes(now.body.kind) && name !== 'rejected';
    must(device === now.hub, 'who has lost is for the hub to say');
    must(lost && same(subject.grievance, { record: now.id, community: now.community, outcome: name }), 'this jury has ruled otherwise');
  }
  const shown = { record: record.id, kind: said.type[1], about: subject.id, issuer: said.issuer, revoked: null };
  const list = entry && lists.find(({ id }) => id === entry.statusListCredential);
  if (!list) {
    now.open.push(`where ${record.id} stands: its list is not in the file`);
    return shown;
  }
  const takesBack = ({ type, about: what, author, device: by }) =>
    type === 'revocation@1' && what === record.id && (author === record.author || by === now.hub);
  const takenBack = records.some(takesBack) || (record.about === now.body.subject && givesBack(now.says) !== null);
  shown.revoked = isRevoked(entry, list, now.hub, moment(log.made, 'made'));
  must(shown.revoked || !takenBack, 'it was taken back, and its list does not say so');
  if (shown.revoked && !records.some(takesBack)) now.open.push(`what took ${record.id} back`);
  return shown;
}

/** The file itself: nothing else in it, its records genuine, in the hub's order and in the hub's log. */
function form(bundle, hub, check) {
  const { records, status_lists: lists, log, log_proof: proof } = bundle;
  const only = (value, names) => must(same(Object.keys(value).sort(), names), `it has other members than ${names.join(', ')}`);
  check('file', () => only(bundle, ['log', 'log_proof', 'records', 'status_lists']));
  check('log', () => only(log, ['about', 'entries', 'grievance', 'made', 'proof']));
  check('log', () => must(signer(log) === hub, `it is not signed by ${hub}`));
  check('head', () => must(signer(proof.head) === hub, `it is not signed by ${hub}`));
  for (const record of records) check(`${record.type} ${record.id}`, () => genuine(record));
  for (const list of lists) check('status list', () => must(credential(list).device === hub, `it is not signed by ${hub}`));
  const ids = (list) => list.map(({ id }) => id);
  check('log', () => must(same(ids(records), ids(log.entries)), 'its entries are not the records'));
  check('log', () => log.entries.reduce((last, { seq }) => {
    must(integer(seq, 'seq') > last, 'its entries do not ascend');
    return integer(seq, 'seq');
  }, 0n));
  check('log_proof', () => {
    only(proof, ['head', 'paths']);
    must(proof.paths.length === log.entries.length, 'it has not one path for each entry');
    log.entries.forEach((entry, at) => must(included(entry, proof.head, proof.paths[at]), `entry ${entry.seq} is not in the log`));
  });
}

/** What the file's own records come to, and every way in which the file contradicts that. */
export function verdict(bundle, hub) {
  const faults = [];
  const check = (what, act) => {
    try {
      return act();
    } catch (error) {
      faults.push(`${what}: ${error.message}`);
      return undefined;
    }
  };
  const found = check('file', () => judged(bundle, hub, check)) ?? {};
  return { ...found, holds: faults.length === 0, faults };
}

function judged(bundle, hub, check) {
  form(bundle, hub, check);
  const { records, log } = bundle;
  const find = (id) => records.find((record) => record.id === id);
  const filed = find(log.about);
  must(filed?.type === 'grievance@1', 'what it is about is no grievance');
  const { id, about: community, body } = filed;
  const subject = find(body.subject);
  // Who has said what it is about judges nothing, nor whose membership it is.
  const others = subject ? [speaker(subject), ...(subject.type === 'membership@1' ? [subject.body.account] : [])] : [];
  const now = {
    id, community, body, hub, others, says: log.grievance, complainant: speaker(filed), jurors: new Set(), aside: new Set(),
    drawn: 0, juries: [], evidence: [], open: [],
  };
  check('about', () => about(now, records, find));
  check('paid', () => payment(now, find));
  const heard = hearing(now, records, log.entries, check);
  const by = heard ? check('resolution', () => resolution(now)) : undefined;
  check('effect', () => effect(now, records, find));
  const credentials = records.filter(({ type }) => type === 'credential@1')
    .map((record) => check(`credential@1 ${record.id}`, () => attested(now, record, bundle)) ?? { record: record.id });
  const { kind, remedy, respondent } = body;
  const { paid, ending, outcome, at, unexecuted } = now.says;
  return {
    grievance: id, community, kind, remedy, complainant: now.complainant, respondent, subject: body.subject, paid, evidence: now.evidence,
    juries: now.juries, ending, outcome, at, unexecuted, by: by ?? null, gives_back: givesBack(now.says), credentials, open: now.open,
  };
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , file, hub] = process.argv;
  if (file === undefined || hub === undefined) {
    console.error('usage: node grievance.mjs BUNDLE DID');
    process.exit(1);
  }
  const bundle = JSON.parse(readFileSync(file, 'utf8'));
  if (!bundle?.log?.grievance) {
    console.error('no grievance was decided in this file');
    process.exit(1);
  }
  const found = verdict(bundle, hub);
  console.log(JSON.stringify(found, null, 2));
  process.exitCode = found.holds ? 0 : 3;
}
