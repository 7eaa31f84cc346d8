/** Guest programs that mean harm: to their neighbours, to the host program, to this process. */
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { command, imageCommand, messageWords, receiveBytes, sendCommand, text, textOf } from './support/bytes.ts';
import { type HostClient, makeFile } from './support/fake-host.ts';
import { CrossRig, ERR_INVALID_PARAMETER, type GuestProgram, OK, sys } from './support/rig.ts';

const HEAD = 352;
const READ_PIPE = 3;

/** Numbers that matter somewhere. */
const number = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 5, 28, 29, 64, 352, 1002, 1003, 0x4000_0000, 0x8000_0001, 0xffff_ffff),
  fc.nat(0xffff_ffff),
);
/** A command of any kind with any words; its size is mostly true. */
const anyCommand = fc
  .record({
    cmd: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 15 }) }, { weight: 1, arbitrary: fc.nat(255) }),
    words: fc.array(number, { maxLength: 100 }),
    lie: fc.option(fc.nat(0xffff), { freq: 8 }),
  })
  .map(({ cmd, words, lie }) => {
    const bytes = command(cmd, 8 + 4 * words.length, Object.fromEntries(words.map((word, at) => [8 + 4 * at, word])));
    if (lie !== null) new DataView(bytes.buffer).setUint16(2, lie, true);
    return bytes;
  });
/** A SEND in its true form with any identifiers. */
const anySend = fc
  .record({
    n: fc.constantFrom(4, 28),
    ids: fc.array(fc.record({ id: number, type: fc.integer({ min: 0, max: 8 }) }), { maxLength: 28 }),
    count: number,
    data: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ n, ids, count, data }) => {
    const words = { ...messageWords(n, ids.slice(0, n), data.length), ...(count > 28 ? { 8: count } : {}) };
    return command(4, 16 + 12 * n, words, data);
  });

describe('a hostile guest', function () {
  this.timeout(60_000);
  let leaks: LeakCheck;
  let rig: CrossRig;
  let victim: GuestProgram;
  let peer: HostClient;

  beforeEach(async () => {
    leaks = leakCheck();
    rig = new CrossRig({ limits: { maxFds: 32, maxTotalFds: 64, maxBytes: 1 << 20 } });
    victim = await rig.connected();
    peer = rig.wayland.accept()!;
  });
  afterEach(() => {
    rig[Symbol.dispose]();
    leaks.check();
  });

  /** Another program goes on as before. */
  const works = async () => {
    expect(await victim.submit(sendCommand(text('ping')))).to.equal(OK);
    expect(textOf(peer.hear()!.data)).to.equal('ping');
    peer.tell(text('pong'));
    expect(await victim.next(HEAD + 4)).to.deep.equal(receiveBytes(text('pong')));
  };

  it('may send any commands', async () => {
    let ctxId = 1;
    const commands = fc.array(fc.oneof(anyCommand, anySend), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(commands, fc.constantFrom(0, 16, 20, 24, 36), fc.boolean(), async (sent, initSize, apart) => {
        ctxId = (ctxId % 20) + 2;
        const guest = await rig.program(ctxId);
        if (initSize > 0) await guest.submit(guest.initCommand(initSize, 1));
        const submits = apart ? sent : [Uint8Array.from(sent.flatMap((bytes) => [...bytes]))];
        for (const bytes of submits) expect(await guest.submit(bytes)).to.be.within(0x1100, 0x1206);
        const poll = guest.poll();
        for (let client = rig.wayland.accept(); client !== null; client = rig.wayland.accept()) {
          client.hear();
          client.tell(text('hello'));
        }
        await rig.settle();
        await guest.destroy();
        await rig.answer(poll);
        await guest.forgetRings();
        expect(rig.type.stats.fds).to.equal(1);
      }),
      { numRuns: 150 },
    );
    await works();
  });

  it('may open pipes without an end', async () => {
    const guest = await rig.connected(2);
    const statuses: number[] = [];
    for (let id = 100; id < 200; id++) {
      statuses.push(await guest.submit(sendCommand(text('p'), [{ id, type: READ_PIPE }])));
    }
    expect(statuses.filter((status) => status === OK)).to.have.length(31);
    await works();
    await guest.destroy();
    expect(rig.type.stats.fds).to.equal(1);
  });

  it('may take all descriptors there are, but those that others hold', async () => {
    const guests: GuestProgram[] = [];
    for (const ctxId of [2, 3, 4]) {
      const guest = await rig.program(ctxId);
      await guest.submit(guest.initCommand(20, 1));
      for (let at = 0; at < 31; at++) await guest.submit(sendCommand(text('p'), [{ id: 100 + at, type: READ_PIPE }]));
      guests.push(guest);
    }
    expect(rig.type.stats.fds).to.equal(64);
    await works();
    for (const guest of guests) await guest.destroy();
    expect(rig.type.stats.fds).to.equal(1);
  });

  it('may ask for pictures without an end', async () => {
    const guest = await rig.connected(2);
    for (let width = 1; width < 300; width++)
      expect(await guest.submit(imageCommand(width, width, 'R8  '))).to.equal(OK);
    for (let resourceId = 100; resourceId < 200; resourceId++) await guest.blob(resourceId, 2);
    expect(rig.type.stats.bytes).to.be.at.most(1 << 20);
    await works();
  });

  it('may never ask for what came', async () => {
    await rig.connected(2);
    const other = rig.wayland.accept()!;
    using file = makeFile(sys, text('x'), 1);
    for (let index = 0; index < 20; index++) other.tell(text('unread'), [file]);
    await rig.settle();
    expect(rig.type.stats.fds, 'they stay in the socket').to.equal(2);
    await works();
  });

  it('may send half of a message', async () => {
    const guest = await rig.connected(2);
    const client = rig.wayland.accept()!;
    const whole = sendCommand(text('whole'));
    for (const length of [1, 7, 8, 63, 64, 351, 352, 356]) {
      expect(await guest.submit(whole.slice(0, length))).to.equal(ERR_INVALID_PARAMETER);
    }
    expect(client.hear()).to.equal(null);
    await works();
  });

  it('may ask before it says who it is', async () => {
    const guest = await rig.program(2);
    for (const bytes of [sendCommand(text('x')), imageCommand(1, 1, 'XR24'), command(7, 24), command(11, 16)]) {
      expect(await guest.submit(bytes)).to.equal(ERR_INVALID_PARAMETER);
    }
    const poll = guest.poll();
    await works();
    await guest.destroy();
    expect((await rig.answer(poll)).type).to.equal(OK);
  });
});
