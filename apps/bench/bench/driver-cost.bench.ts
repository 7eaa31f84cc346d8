/**
 * What the driver itself costs: GETATTR at a depth of 32 against a device that only copies `unique` and returns the chain,
 * in the same thread. Run it with `node --conditions=@oriel/source apps/bench/bench/driver-cost.bench.ts`.
 */
import { RequestEncoder } from '@oriel/fuse/client';
import { openSys } from '@oriel/sys';
import { layoutSplitRing } from '@oriel/virtqueue';
import { Message } from '../src/driver/message.ts';
import { GuestRam } from '../src/driver/ram.ts';
import { RequestQueue } from '../src/driver/request-queue.ts';
import { type Lane, Runner } from '../src/driver/runner.ts';
import { SLOTS, type Work } from '../src/driver/work.ts';
import { median } from '../src/median.ts';

const SIZE = 1024;
const ROUNDS = 7;
const SECONDS = 0.5;

const sys = openSys();
using ram = new GuestRam(sys, 8 << 20, 0);
using hiprio = new RequestQueue(sys, ram, { index: 0, size: SIZE, longest: 1 });
using requests = new RequestQueue(sys, ram, { index: 1, size: SIZE, longest: 4 });

const { avail, used } = layoutSplitRing(SIZE);
const ringAt = requests.place.desc - ram.userAddr;
const availRing = new Uint16Array(ram.u8.buffer, ringAt + avail, SIZE + 3);
const usedRing = new Uint16Array(ram.u8.buffer, ringAt + used, 2);
const usedElems = new Uint32Array(ram.u8.buffer, ringAt + used + 4, SIZE * 2);
let taken = 0;

/** The device: runs where a driver would sleep. */
const lane: Lane = {
  queues: [requests, hiprio],
  sleep() {
    const end = Atomics.load(availRing, 1);
    while (taken !== end) {
      const head = availRing[2 + (taken % SIZE)]!;
      const { args, answerLen } = requests.messages[head]!;
      ram.words[(args - 8) / 4] = ram.words[(args - 48) / 4]!;
      usedElems[(taken % SIZE) * 2] = head;
      usedElems[(taken % SIZE) * 2 + 1] = answerLen;
      taken = (taken + 1) & 0xffff;
    }
    Atomics.store(usedRing, 1, taken);
  },
};

const encoder = new RequestEncoder();
const messages = Array.from({ length: SLOTS }, (_, slot) => new Message(ram, requests, slot, encoder.getattr(1)));
for (const { args, answerLen } of messages) ram.words[(args - 16) / 4] = answerLen;
let unique = 0;
const work: Work = {
  sampleEvery: 16,
  begin(slot) {
    unique = (unique + 2) & 0x7fff_fffe;
    const message = messages[slot]!;
    message.set(unique, slot, 0);
    return message;
  },
  answered(message, len) {
    message.expect(message.answerLen, len);
    return null;
  },
  verify() {},
};

const runner = new Runner(lane);
const costs = Array.from({ length: ROUNDS }, () => {
  const { ops, seconds } = runner.run(work, SLOTS, SECONDS, 0);
  return (seconds / ops) * 1e9;
});
console.log(
  `${median(costs).toFixed(0)} ns per operation, device included (${costs.map((ns) => ns.toFixed(0)).join(' ')})`,
);
