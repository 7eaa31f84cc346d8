import { FuseInHeader, FuseOutHeader } from '@oriel/fuse';
import { RequestEncoder } from '@oriel/fuse/client';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Message } from '../src/driver/message.ts';
import { GuestRam, PAGE, RAM_GPA } from '../src/driver/ram.ts';
import { RequestQueue } from '../src/driver/request-queue.ts';
import { BenchError } from '../src/errors.ts';

const sys = openSys();
const HEADERS = FuseInHeader.byteLength + FuseOutHeader.byteLength;

/** A descriptor of the chain at a head, out of its indirect table. */
interface Descriptor {
  readonly at: number;
  readonly len: number;
  readonly writable: boolean;
}

function chainOf(ram: GuestRam, queue: RequestQueue, head: number): Descriptor[] {
  const desc = queue.place.desc - ram.userAddr + head * 16;
  const table = ram.view.getUint32(desc, true);
  const count = ram.view.getUint32(desc + 8, true) / 16;
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * 16;
    const { view } = ram;
    expect(view.getUint32(at + 4, true)).to.equal(RAM_GPA / 2 ** 32);
    const writable = (view.getUint16(at + 12, true) & 2) !== 0;
    return { at: view.getUint32(at, true), len: view.getUint32(at + 8, true), writable };
  });
}

describe('Message', () => {
  const encoder = new RequestEncoder();
  let ram: GuestRam;
  let queue: RequestQueue;
  let leaks: ReturnType<typeof leakCheck>;

  beforeEach(() => {
    leaks = leakCheck();
    ram = new GuestRam(sys, 1 << 20, 64);
    queue = new RequestQueue(sys, ram, { index: 1, size: 16, longest: 20 });
  });

  afterEach(() => {
    queue[Symbol.dispose]();
    ram[Symbol.dispose]();
    leaks.check();
  });

  it('lies as Linux lays it: the arguments of the answer right behind the name', () => {
    const message = new Message(ram, queue, 0, encoder.lookup(1, 'name'));
    expect(message.body - message.args).to.equal('name'.length + 1);
    expect(chainOf(ram, queue, message.head)).to.deep.equal([
      { at: message.args - HEADERS, len: 40, writable: false },
      { at: message.args, len: 5, writable: false },
      { at: message.args - 16, len: 16, writable: true },
      { at: message.body, len: 128, writable: true },
    ]);
    expect(Buffer.from(ram.u8.subarray(message.args, message.body)).toString()).to.equal('name\0');
  });

  it('has a descriptor for each page, apart from each other', () => {
    const pages = ram.takePages(8);
    const read = new Message(ram, queue, 0, encoder.read(2, 3, 0, 8 * PAGE), { pages, direction: 'read' });
    const write = new Message(ram, queue, 0, encoder.write(2, 3, 0, 8 * PAGE), { pages, direction: 'write' });
    const kinds = (message: Message) =>
      chainOf(ram, queue, message.head).map(({ len, writable }) => (writable ? -len : len));
    expect(kinds(read)).to.deep.equal([40, 40, -16, ...Array(8).fill(-PAGE)]);
    expect(kinds(write)).to.deep.equal([40, 40, ...Array(8).fill(PAGE), -16, -8]);
    const sorted = Array.from(pages).sort((a, b) => a - b);
    expect(Array.from(pages)).not.to.deep.equal(sorted);
    expect(new Set(pages).size).to.equal(8);
    expect(read.answerLen).to.equal(16 + 8 * PAGE);
  });

  it('has no room for an answer to a FORGET', () => {
    const message = new Message(ram, queue, 0, encoder.forget(2, 1));
    expect(chainOf(ram, queue, message.head).map(({ len, writable }) => [len, writable])).to.deep.equal([
      [40, false],
      [8, false],
    ]);
  });

  describe('expect', () => {
    let message: Message;
    let answer: number;

    beforeEach(() => {
      message = new Message(ram, queue, 5, encoder.getattr(1));
      message.set(42, 7, 0);
      answer = message.args - 16;
      FuseOutHeader.len.set(ram.view, answer, 120);
      FuseOutHeader.error.set(ram.view, answer, 0);
      FuseOutHeader.unique.setParts(ram.view, answer, 42, 0);
    });

    const refused = (used = 120) => {
      expect(() => message.expect(120, used))
        .to.throw(BenchError)
        .with.property('code', 'ERR_BENCH_ANSWER');
    };

    it('takes the answer to the request', () => {
      message.expect(120, 120);
      expect(message.lengthOf(120)).to.equal(120);
    });

    it('refuses another length', () => {
      refused(119);
      FuseOutHeader.len.set(ram.view, answer, 16);
      refused();
      refused(16);
    });

    it('refuses an error, and names it', () => {
      FuseOutHeader.error.set(ram.view, answer, -2);
      refused();
      expect(message.wrong('why').message).to.match(/GETATTR in slot 5: why .*ENOENT/);
    });

    it('refuses the answer to another request', () => {
      message.set(44, 7, 0);
      refused();
    });
  });
});
