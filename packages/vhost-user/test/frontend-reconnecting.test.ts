import { ECONNREFUSED } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { layoutSplitRing } from '@oriel/virtqueue';
import { expect } from 'chai';
import { ReconnectingFrontend, type ReconnectingOptions, type VhostUserError } from '../src/index.ts';
import { u32s, u64s } from './support/prelude.ts';
import { RawBackends } from './support/raw-backends.ts';
import { GPA, Guest, RAM, SIZE, USER } from './support/reconnecting-guest.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const code = (error: Error) => (error as VhostUserError).code;

describe('ReconnectingFrontend', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const parts = layoutSplitRing(SIZE);
  const table = `5:${hex(new Uint8Array([...u32s(1, 0), ...u64s(GPA, RAM, USER, 0)]))}`;
  const inflightMessage = `${hex(u64s(0x1000, 0))}0100100000000000`;

  /** A front-end that is to lose its back-ends, started; and why it lost each. */
  function started(guest: Guest, backends: RawBackends, more: Partial<ReconnectingOptions> = {}) {
    const downs: string[] = [];
    const down = (error: Error): unknown => downs.push(code(error));
    const frontend = new ReconnectingFrontend({ ...guest.options(backends.connect), down, ...more });
    frontend.start();
    return { frontend, downs, [Symbol.dispose]: () => frontend[Symbol.dispose]() };
  }

  /** The back-end is killed, and the one in its place is one that the front-end refuses. */
  function replaced({ frontend, downs }: ReturnType<typeof started>, backends: RawBackends, change: () => void): void {
    backends.serveUntil(() => frontend.connections === 1);
    change();
    backends.kill();
    backends.serveUntil(() => downs.length === 2);
    expect(downs).to.deep.equal(['ERR_VU_CLOSED', 'ERR_VU_FEATURES']);
  }

  it('does it all again on each connection: features, in-flight area, memory, rings from their used index', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    const log: string[] = [];
    using frontend = new ReconnectingFrontend({
      ...guest.options(backends.connect),
      up: (_connection, again) => log.push(again ? 'again' : 'up'),
      down: (error) => log.push(code(error)),
    });
    frontend.start();
    backends.serveUntil(() => frontend.connection !== null);
    const ring = guest.ring(parts, () => guest.view.getUint16(parts.used + 2, true));
    frontend.startRing(ring, (error) => log.push(`ring ${error}`));
    backends.serveUntil(() => log.includes('ring null'));
    expect(guest.sys.loop.eventfdDrain(guest.kick.fd)).to.be.lessThan(0);
    guest.view.setUint16(parts.used + 2, 7, true);
    backends.kill();
    backends.serveUntil(() => frontend.connections === 2);
    const first = ['3:', '1:', '15:', '16:0910000000000000', '17:', `2:${hex(u64s(0x1_4000_0001))}`];
    const setup = (base: number) => [
      `8:${hex(u32s(0, SIZE))}`,
      `10:${hex(u32s(0, base))}`,
      `9:${hex(new Uint8Array([...u32s(0, 0), ...u64s(USER, USER + parts.used, USER + parts.avail, 0)]))}`,
      `13:${hex(u64s(0))}`,
      `12:${hex(u64s(0))}`,
      `18:${hex(u32s(0, 1))}`,
    ];
    expect(backends.seen).to.deep.equal([
      [...first, `31:${hex(u64s(0, 0))}0100100000000000`, `32:${inflightMessage}`, table, ...setup(0)],
      [...first, `32:${inflightMessage}`, table, ...setup(7)],
    ]);
    expect(log).to.deep.equal(['up', 'ring null', 'ERR_VU_CLOSED', 'again']);
    expect(guest.sys.loop.eventfdDrain(guest.kick.fd)).to.equal(1);
    expect(guest.sys.loop.eventfdDrain(guest.call.fd)).to.equal(1);
  });

  it('refuses a back-end that lacks a feature of the first, before it accepts any, and waits for another', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    using session = started(guest, backends);
    const { frontend } = session;
    replaced(session, backends, () => {
      backends.features = 0x1_4000_0000;
    });
    expect(backends.seen[1]).to.deep.equal(['3:', '1:', '15:']);
    backends.features = 0x1_c000_0001;
    backends.serveUntil(() => frontend.connections === 2);
    expect(String(frontend.connection!.features)).to.equal('0x100000001');
  });

  it('refuses a back-end with fewer queues', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    using session = started(guest, backends);
    const { frontend } = session;
    replaced(session, backends, () => {
      backends.queues = 1;
    });
    backends.queues = 3;
    backends.serveUntil(() => frontend.connections === 2);
  });

  it('waits for a back-end to be there, and starts a ring that was asked for meanwhile', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    backends.there = false;
    const outcomes: string[] = [];
    using frontend = new ReconnectingFrontend(guest.options(backends.connect));
    frontend.start();
    expect(() => frontend.start()).to.throw('ERR_VU_STATE');
    frontend.startRing(
      guest.ring(parts, () => 3),
      (error) => outcomes.push(String(error)),
    );
    guest.loop.runOnce(50);
    expect([frontend.connection, outcomes]).to.deep.equal([null, []]);
    backends.there = true;
    backends.serveUntil(() => frontend.connection !== null);
    expect(outcomes).to.deep.equal(['null']);
    expect(backends.seen[0]).to.include(`10:${hex(u32s(0, 3))}`);
  });

  it('starts a ring that is asked for while others start', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    const outcomes: string[] = [];
    using frontend = new ReconnectingFrontend(guest.options(backends.connect));
    frontend.startRing(
      guest.ring(parts, () => 0),
      (error) => outcomes.push(`0 ${error}`),
    );
    frontend.start();
    backends.serveUntil(() => backends.seen[0]?.includes(`8:${hex(u32s(0, SIZE))}`) === true);
    expect(frontend.connection).to.equal(null);
    frontend.startRing({ ...guest.ring(parts, () => 0), index: 1 }, (error) => outcomes.push(`1 ${error}`));
    frontend.stopRing(0, (error) => outcomes.push(`stop ${code(error!)}`));
    backends.serveUntil(() => outcomes.length === 3);
    expect(outcomes).to.deep.equal(['stop ERR_VU_STATE', '0 null', '1 null']);
  });

  it('gives a back-end that does not answer up in time', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    backends.silent = true;
    using session = started(guest, backends, { attemptMs: 1 });
    const { frontend, downs } = session;
    frontend.waitUntil(() => downs.length > 0);
    expect(downs).to.deep.equal(['ERR_VU_TIMEOUT']);
  });

  it('forgets a ring that the back-end refuses, and one that was stopped', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    backends.refuses = 9;
    const outcomes: string[] = [];
    using frontend = new ReconnectingFrontend(guest.options(backends.connect));
    frontend.start();
    backends.serveUntil(() => frontend.connection !== null);
    frontend.startRing(
      guest.ring(parts, () => 0),
      (error) => outcomes.push(code(error!)),
    );
    backends.serveUntil(() => outcomes.length === 1);
    expect(outcomes).to.deep.equal(['ERR_VU_REFUSED']);
    backends.refuses = 0;
    backends.kill();
    backends.serveUntil(() => frontend.connections === 2);
    expect(backends.seen[1]!.some((line) => line.startsWith('8:'))).to.equal(false);
    backends.there = false;
    backends.kill();
    backends.serveUntil(() => frontend.connection === null);
    frontend.startRing(
      guest.ring(parts, () => 5),
      (error) => outcomes.push(String(error)),
    );
    frontend.stopRing(0, (error, base) => outcomes.push(`${error} ${base}`));
    guest.loop.runOnce(0);
    backends.there = true;
    backends.serveUntil(() => frontend.connections === 3);
    expect(backends.seen.at(-1)!.some((line) => line.startsWith('8:'))).to.equal(false);
    expect(outcomes.at(-1)).to.equal('null 5');
  });

  it('ends what waits when it is closed', () => {
    using guest = new Guest();
    const outcomes: string[] = [];
    {
      using frontend = new ReconnectingFrontend(guest.options(() => -ECONNREFUSED));
      frontend.startRing(
        guest.ring(parts, () => 0),
        (error) => outcomes.push(code(error!)),
      );
      frontend.start();
    }
    expect(outcomes).to.deep.equal(['ERR_VU_CLOSED']);
  });
});
