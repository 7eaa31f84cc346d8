import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { MockDriver } from '../src/testing/index.ts';

const sys = openSys();

describe('SplitQueue with MockDriver', () => {
  let leaks: ReturnType<typeof leakCheck>;
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  for (const [eventIdx, indirect] of [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ] as const) {
    it(`answers a request (event idx ${eventIdx}, indirect ${indirect})`, () => {
      using driver = new MockDriver(sys, { eventIdx, indirect });
      const end = driver.queue(0);
      const queue = end.openDevice();
      const head = end.send([Buffer.from('hello '), Buffer.from('world')], [4, 100]);
      const chain = queue.next()!;
      expect([chain.readCount, chain.readBytes, chain.writeCount, chain.writeBytes]).to.deep.equal([2, 11, 2, 104]);
      const request = new Uint8Array(20);
      expect(chain.read(0, request, 0, 20)).to.equal(11);
      expect(Buffer.from(request).toString('latin1', 0, 11)).to.equal('hello world');
      expect(chain.write(0, Buffer.from('answer'), 0, 6)).to.equal(6);
      queue.complete(chain, 6);
      expect(queue.next()).to.equal(null);
      queue.flush();
      const reply = end.receive()!;
      expect(reply.head).to.equal(head);
      expect(Buffer.from(reply.data).toString()).to.equal('answer');
      expect([end.kicks, end.calls, end.errors.length]).to.deep.equal([1, 1, 0]);
    });
  }
});
