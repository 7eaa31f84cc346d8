/** A host, or another guest, that truncates what a real guest has mapped: what the guard of `oriel fs` keeps QEMU from. */
import { closeSync, ftruncateSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openSys } from '@oriel/sys';
import { canGuard } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  bootGuest,
  type DaxShare,
  type Guest,
  guestSuite,
  type HostProcess,
  openDaxShare,
  orielDevice,
  startOrielFs,
} from '../index.ts';
import { fillPattern } from '../src/pattern.ts';

const MIB = 1 << 20;
const SIZE = 8 * MIB;
/** In the middle of a range of 2 MiB. */
const FLOOR = 3 * MIB;
/** 1,000 in the soak. */
const TIMES = Number(process.env['ORIEL_GUARD_TIMES'] ?? 100);
/** Between two truncations, so that the guest is at it in between, ms. */
const PACE_MS = 20;

const content = new Uint8Array(SIZE);
fillPattern(new Uint32Array(content.buffer), 1, 1);

interface Counts {
  readonly right: number;
  readonly zero: number;
  readonly wrong: number;
  readonly bus: number;
}

function parse(line: string): { below: Counts; above: Counts } {
  const numbers = [...line.matchAll(/(\d+)/g)].map(([text]) => Number(text));
  const [, ...counts] = numbers;
  const of = (at: number): Counts => ({
    right: counts[at]!,
    zero: counts[at + 1]!,
    wrong: counts[at + 2]!,
    bus: counts[at + 3]!,
  });
  return { below: of(0), above: of(4) };
}

/** Truncates a file again and again, and writes back what it cut. */
async function truncateAgainAndAgain(
  path: string,
  cuts: readonly number[],
): Promise<{ done: number; refused: number }> {
  const fd = openSync(path, 'r+');
  const outcome = { done: 0, refused: 0 };
  for (const [time, cut] of cuts.entries()) {
    try {
      if (cut === 0) writeFileSync(path, '');
      else if (time % 2 === 0) truncateSync(path, cut);
      else ftruncateSync(fd, cut);
      outcome.done++;
      writeSync(fd, content, cut, SIZE - cut, cut);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY') throw error;
      outcome.refused++;
    }
    await pause(PACE_MS);
  }
  closeSync(fd);
  return outcome;
}

/** Has the guest loop over the mapped file while the host truncates it. */
async function loopMeanwhile({ guest, hostDir }: DaxShare, floor: number, cuts: readonly number[]) {
  const path = join(hostDir, 'file');
  writeFileSync(path, content);
  await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapread /mnt/file 0 8388608 >/dev/null');
  const timeoutMs = 60_000 + cuts.length * 200;
  const looping = guest.ok(`maploop /mnt/file ${SIZE} ${floor} /mnt/stop`, { timeoutMs });
  const outcome = await truncateAgainAndAgain(path, cuts);
  writeFileSync(join(hostDir, 'stop'), '');
  const seen = parse(await looping);
  await guest.ok('umount /mnt');
  return { ...outcome, ...seen };
}

function random(from: number, to: number): number {
  return from + Math.floor(Math.random() * (to - from));
}

describe('a file that is truncated while a guest has it mapped', () => {
  const suite = guestSuite('dax-guard');

  before(function () {
    if (canGuard(openSys(), tmpdir())) return;
    process.stderr.write('GUEST SUITE SKIPPED: this host cannot guard files against truncation\n');
    this.skip();
  });

  async function open(name: string, ...args: string[]): Promise<DaxShare> {
    return openDaxShare({ environment: suite.environment, dir: suite.folder(name), args });
  }

  it(`costs neither QEMU nor a byte that stays, ${TIMES} times`, async () => {
    await using share = await open('auto');
    const cuts = Array.from({ length: TIMES }, (_, time) => (time % 3 === 0 ? 4 * MIB : random(FLOOR, SIZE)));
    const { done, refused, below, above } = await loopMeanwhile(share, FLOOR, cuts);
    console.log(
      `      ${done} done, ${refused} refused; below ${JSON.stringify(below)}, above ${JSON.stringify(above)}`,
    );
    expect(done).to.be.above(TIMES / 4);
    expect(refused).to.be.above(0);
    expect(below.right).to.be.above(0);
    expect(below).to.include({ zero: 0, wrong: 0, bus: 0 });
    expect(above.wrong).to.equal(0);
    expect(share.guest.alive).to.equal(true);
  });

  it('costs no QEMU when the host writes it anew, from nothing', async () => {
    await using share = await open('anew');
    const { done, refused, above } = await loopMeanwhile(share, 0, new Array<number>(TIMES).fill(0));
    expect({ done, refused }).to.deep.equal({ done: TIMES, refused: 0 });
    expect(above.wrong).to.equal(0);
    expect(await share.guest.qmp('query-status')).to.have.property('running', true);
  });

  it('shows zeros in bytes that stay, for a moment, where it was told to yield', async () => {
    await using share = await open('yield', '--dax-guard=yield');
    const cuts = Array.from({ length: TIMES }, () => Math.floor(random(FLOOR, SIZE) / 4096) * 4096);
    const { done, refused, below, above } = await loopMeanwhile(share, FLOOR, cuts);
    console.log(`      ${done} done; below ${JSON.stringify(below)}, above ${JSON.stringify(above)}`);
    expect({ done, refused }).to.deep.equal({ done: TIMES, refused: 0 });
    expect(below.wrong + below.bus + above.wrong).to.equal(0);
    expect(below.right).to.be.above(below.zero);
    expect(share.guest.alive).to.equal(true);
  });

  it('is not truncated while the VM is paused', async () => {
    await using share = await open('paused');
    const path = join(share.hostDir, 'file');
    writeFileSync(path, content);
    await share.guest.ok('mount -t virtiofs -o dax=always share /mnt && mapread /mnt/file 0 8388608 >/dev/null');
    await share.guest.qmp('stop');
    expect(() => truncateSync(path, 0))
      .to.throw()
      .with.property('code', 'ETXTBSY');
    await share.guest.qmp('cont');
    truncateSync(path, 2 * MIB);
    await share.guest.ok('mapread /mnt/file 0 2097152 >/dev/null && umount /mnt');
  });

  it('ends QEMU without a guard', async () => {
    await using share = await open('unguarded', '--dax-unguarded');
    const path = join(share.hostDir, 'file');
    writeFileSync(path, content);
    await share.guest.ok('mount -t virtiofs -o dax=always share /mnt && mapread /mnt/file 0 8388608 >/dev/null');
    const looping = share.guest.run(`maploop /mnt/file ${SIZE} 0 /mnt/stop`).catch(() => {});
    await pause(200);
    truncateSync(path, 0);
    const exit = await share.guest.waitExit();
    console.log(`      QEMU: ${JSON.stringify(exit)}`);
    await looping;
    expect(share.guest.alive).to.equal(false);
  });

  describe('by another guest of the same directory', () => {
    const backends: HostProcess[] = [];
    const guests: Guest[] = [];

    after(async () => {
      for (const guest of guests) await guest.close();
      for (const backend of backends) await backend.stop();
    });

    it('lets both live', async () => {
      const dir = suite.folder('two');
      const sharedDir = suite.folder('shared');
      const path = join(sharedDir, 'file');
      writeFileSync(path, content);
      for (const name of ['one', 'two']) {
        const socketPath = join(dir, `${name}.sock`);
        backends.push(await startOrielFs({ socketPath, sharedDir, window: '64M' }));
        const qemuArgs = orielDevice(socketPath);
        guests.push(await bootGuest({ environment: suite.environment, memoryMiB: 512, smp: 1, qemuArgs }));
      }
      const [one, two] = guests as [Guest, Guest];
      for (const guest of guests) {
        await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapread /mnt/file 0 8388608 >/dev/null');
      }
      const looping = one.ok(`maploop /mnt/file ${SIZE} 0 /mnt/stop`, { timeoutMs: 120_000 });
      for (let round = 0; round < 10; round++) {
        await two.ok('truncate -s 4194304 /mnt/file && : >/mnt/file && cat /mnt/file | wc -c');
        writeFileSync(path, content);
      }
      await two.ok('touch /mnt/stop');
      const { above } = parse(await looping);
      expect(above.wrong).to.equal(0);
      for (const guest of guests) await guest.ok('mapcheck /mnt/file && umount /mnt');
    });
  });
});
