import { check, EAGAIN, Fd, openSys } from '@oriel/sys';
import { expect } from 'chai';
import { EventQueue, type KeeperEvent, MAX_WAITING_QUESTIONS } from '../src/sandbox/guard/event-queue.ts';
import { GuardEvent, Happening } from '../src/sandbox/guard/wire.ts';

const sys = openSys();
const FILLING = 7;

describe('the events of a keeper, for a device that does not read them', () => {
  let ends: readonly [Fd, Fd];
  let queue: EventQueue;
  let full: boolean[];

  beforeEach(() => {
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    ends = [new Fd(sys.fd, pair[0]!), new Fd(sys.fd, pair[1]!)];
    full = [];
    queue = new EventQueue(sys, ends[0].fd, (now) => full.push(now));
    // Changes of one watch each fill the socket; the last one waits.
    for (let watch = 1_000_000; full.length === 0; watch++) queue.send(changed(watch, true));
  });
  afterEach(() => {
    for (const end of ends) end.close();
  });

  const changed = (watch: number, flag: boolean): KeeperEvent => ({
    ...{ kind: Happening.CHANGED, watch, question: 0, flag, size: FILLING },
  });
  const asked = (question: number): KeeperEvent => ({
    ...{ kind: Happening.TRUNCATING, watch: 1, question, flag: true, size: 5000 },
  });
  const over = (question: number): KeeperEvent => ({ ...asked(question), kind: Happening.TRUNCATED, size: 0 });

  /** Reads as a device does, while the queue may go on. @returns `kind watch question flag` of what was not there before */
  function readAll(): string[] {
    const all: string[] = [];
    const bytes = new Uint8Array(GuardEvent.byteLength);
    const view = new DataView(bytes.buffer);
    const received = sys.socket.makeRecvResult(0);
    for (;;) {
      const got = sys.socket.recvmsg(ends[1].fd, bytes, bytes.length, received);
      if (got === -EAGAIN && full.at(-1) === false) return all;
      if (got === -EAGAIN) {
        queue.flush();
        continue;
      }
      expect(got).to.equal(bytes.length);
      if (GuardEvent.watch.get(view, 0) >= 1_000_000) continue;
      const { kind, watch, question, flag } = GuardEvent;
      all.push([kind, watch, question, flag].map((field) => field.get(view, 0)).join(' '));
    }
  }

  it('takes so many questions and refuses those that come then, until there is room again', () => {
    for (let question = 1; question <= MAX_WAITING_QUESTIONS; question++) {
      expect(queue.send(asked(question)), String(question)).to.equal(true);
    }
    expect(queue.send(asked(9999))).to.equal(false);
    expect(queue.send(changed(1, true)), 'what is no question is told').to.equal(true);
    const read = readAll();
    expect(read).to.have.length(MAX_WAITING_QUESTIONS + 1);
    expect(read[0]).to.equal(`${Happening.TRUNCATING} 1 1 1`);
    expect(read.at(-1)).to.equal(`${Happening.CHANGED} 1 0 1`);
    expect(queue.send(asked(10_000))).to.equal(true);
    expect(readAll()).to.deep.equal([`${Happening.TRUNCATING} 1 10000 1`]);
  });

  it('forgets a question that is over before anybody heard it, however many there are', () => {
    const before = queue.size;
    for (let question = 1; question <= 20 * MAX_WAITING_QUESTIONS; question++) {
      expect(queue.send(asked(question)), String(question)).to.equal(true);
      expect(queue.send(over(question))).to.equal(true);
    }
    expect(queue.size).to.equal(before);
    queue.send(over(99_999));
    expect(readAll(), 'the end of one that was heard is told').to.deep.equal([`${Happening.TRUNCATED} 1 99999 1`]);
  });

  it('keeps the latest of the changes of a watch, and none of a watch that has ended', () => {
    const before = queue.size;
    for (let count = 0; count < 1000; count++) {
      queue.send(changed(1, count % 2 === 0));
      queue.send(changed(2, true));
      queue.send(changed(3, false));
    }
    expect(queue.size).to.equal(before + 4);
    queue.forget(2);
    expect(readAll()).to.deep.equal([1, 3].flatMap((watch) => (watch === 1 ? ['3 1 0 1', '3 1 0 0'] : ['3 3 0 0'])));
  });
});
