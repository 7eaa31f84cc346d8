/** Toys with faults: each verdict is given, and given for its reason. */
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { allClauses, type Judgement, judge, Peer, type PeerOptions, selectClauses } from '../src/index.ts';
import { Child } from './support/child.ts';

const sys = openSys();
/** Longer than a peer that answers ever takes; and how long one is waited for that does not. */
const PATIENCE_MS = 10_000;
const HANG_MS = 300;

/** Runs clauses against a peer. @returns the judgements by clause */
function run(peer: Peer, pattern: string): Record<string, Judgement> {
  const clauses = selectClauses(allClauses(null), pattern);
  return Object.fromEntries(clauses.map((clause) => [clause.id, judge(peer.run(clause, null), null)]));
}

describe('Peer', function () {
  this.timeout(60_000);
  let dir: TempDir;
  let socketPath: string;
  let leaks: LeakCheck;

  const open = (options: Partial<PeerOptions> = {}) =>
    new Peer({ sys, connect: () => sys.socket.connectUnix(socketPath), timeoutMs: PATIENCE_MS, ...options });

  before(() => {
    dir = tempDir();
  });
  beforeEach(function () {
    socketPath = join(dir.path, `${this.currentTest!.title.replaceAll(/\W/g, '').slice(0, 40)}.sock`);
    leaks = leakCheck();
  });
  afterEach(() => leaks.settled());
  after(() => dir[Symbol.dispose]());

  it('passes what is borne: a peer that accepts everything', async () => {
    await using _toy = await Child.start('toy-backend.ts', 'none', socketPath);
    using peer = open();
    expect(peer.probe(null)).to.deep.equal({ kind: 'served' });
    const judged = run(peer, 'unknown-46');
    expect(judged).to.deep.equal({ 'stream/unknown-46': { verdict: 'PASS', detail: '' } });
  });

  it('bears no verdict but PASS against such a peer, whatever is sent', async () => {
    await using toy = await Child.start('toy-backend.ts', 'none', socketPath);
    using peer = open();
    const judged = { ...run(peer, 'vring'), ...run(peer, 'memory/'), ...run(peer, 'disconnect/') };
    expect(Object.keys(judged)).to.have.length.greaterThan(60);
    expect(Object.values(judged).filter(({ verdict }) => verdict !== 'PASS' && verdict !== 'SKIP')).to.deep.equal([]);
    expect(toy.alive).to.equal(true);
  });

  it('tells a refusal: a peer that closes the connection', async () => {
    await using _toy = await Child.start('toy-backend.ts', 'refuses', socketPath);
    using peer = open();
    expect(run(peer, 'unknown-46')).to.deep.equal({
      'stream/unknown-46': { verdict: 'REJECT', detail: 'closed the connection' },
    });
  });

  it('tells a hang: a peer that answers nobody any more', async () => {
    await using toy = await Child.start('toy-backend.ts', 'hangs', socketPath);
    using peer = open({ timeoutMs: HANG_MS });
    expect(run(peer, 'unknown-46')).to.deep.equal({
      'stream/unknown-46': { verdict: 'HANG', detail: 'then: no answer to GET_FEATURES' },
    });
    expect(toy.alive).to.equal(true);
  });

  it('tells a death: a peer whose process ends', async () => {
    await using _toy = await Child.start('toy-backend.ts', 'dies', socketPath);
    using peer = open();
    const { verdict, detail } = run(peer, 'unknown-46')['stream/unknown-46']!;
    expect(verdict).to.equal('DEAD');
    // The kernel may still take a connection while the process ends.
    expect(detail).to.match(/^then: (connect: ECONNREFUSED|closed at GET_FEATURES)$/);
  });

  it('tells a death: a peer that serves nobody any more', async () => {
    await using toy = await Child.start('toy-backend.ts', 'sulks', socketPath);
    using peer = open();
    expect(run(peer, 'unknown-46')['stream/unknown-46']!.verdict).to.equal('DEAD');
    expect(toy.alive).to.equal(true);
  });

  it('goes on a connection that bore the clause where there is no second one', async () => {
    await using _toy = await Child.start('toy-backend.ts', 'once', socketPath);
    using peer = open({ servesOnce: true });
    const [clause] = selectClauses(allClauses(null), 'state/owner-twice');
    const seen = peer.run(clause!, null);
    expect(seen.again).to.deep.equal({ kind: 'served' });
    expect(seen.next.kind).not.to.equal('served');
    expect(judge(seen, { code: 0, signal: null })).to.deep.equal({ verdict: 'PASS', detail: 'ended with status 0' });
  });

  it('says that nobody listens', () => {
    using peer = open();
    expect(peer.probe(null)).to.deep.equal({ kind: 'unreachable', detail: 'connect: ENOENT' });
  });
});
