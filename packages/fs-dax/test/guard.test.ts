import { spawn } from 'node:child_process';
import { closeSync, openSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ENODATA, ENOMEM, errnoName } from '@oriel/sys';
import { guardErrno, mockSys } from '@oriel/sys/testing';
import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import { DAX_RANGE, FsDaxError } from '../src/index.ts';
import { PAGE, Rig, type RigOptions, sys, withFile } from './support/rig.ts';

const R = DAX_RANGE;
/** A front-end where mappings may end behind the file. */
const LOOSE = { host: { limits: profiles.alioth.limits } };

/** What a process of the host came to that runs beside the device. */
async function beside(rig: Rig, command: string): Promise<{ code: number; said: string }> {
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  let code: number | null = null;
  child.stderr.on('data', (data) => {
    said += data;
  });
  child.on('close', (status) => {
    code = status ?? -1;
  });
  while (code === null) {
    await rig.turns(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { code, said };
}

describe('a guard against truncation', () => {
  let made: { rig: Rig; nodeid: number };

  before(function () {
    const errno = guardErrno(sys, tmpdir());
    if (errno === 0) return;
    console.warn(`      NOT TESTED HERE: the truncation guard (${errnoName(-errno)})`);
    this.skip();
  });

  async function mapped(size: number, slots: number[], options: RigOptions = {}): Promise<Rig> {
    made = await withFile(size, { ...options, dax: { guard: 'auto', ...options.dax } });
    for (const slot of slots) expect(await made.rig.map(made.nodeid, slot, slot)).to.equal(0);
    return made.rig;
  }

  it('lets a truncation happen once the ranges that go are unmapped', async () => {
    await using rig = await mapped(6 * R, [0, 1, 2]);
    const sizes: number[] = [];
    rig.onRequest(() => {
      sizes.push(statSync(rig.path('file')).size);
      return 0;
    });

    expect((await beside(rig, `truncate -s ${R} ${rig.path('file')}`)).code).to.equal(0);

    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
    expect(sizes).to.deep.equal([6 * R, 6 * R]);
    expect(statSync(rig.path('file')).size).to.equal(R);
    expect(rig.device.stats.guard).to.deep.equal({ allowed: 1, yielded: 1, refused: 0, unasked: 0 });
  });

  it('lets a file be written anew, and maps what it has then', async () => {
    await using rig = await mapped(2 * R, [0, 1]);
    const { code } = await beside(rig, `head -c ${R + 8 * PAGE} /dev/zero > ${rig.path('file')}`);
    expect(code).to.equal(0);
    await rig.until(() => rig.mapped.length === 2);
    expect(rig.mapped).to.deep.equal([
      [0, R, 0],
      [R, 8 * PAGE, R],
    ]);
  });

  it('refuses a truncation in the middle of what can only be unmapped whole', async () => {
    await using rig = await mapped(2 * R, [0, 1]);
    const { code, said } = await beside(rig, `truncate -s ${R + 5000} ${rig.path('file')}`);
    expect(code).not.to.equal(0);
    expect(said).to.match(/Text file busy/i);
    expect(rig.mapped.length).to.equal(2);
    expect(statSync(rig.path('file')).size).to.equal(2 * R);
    expect(rig.device.stats.guard.refused).to.equal(1);
  });

  it('takes bytes that stay out of reach for a moment where it was told to yield', async () => {
    await using rig = await mapped(2 * R, [0, 1], { dax: { guard: 'yield' } });
    expect((await beside(rig, `truncate -s ${R + 2 * PAGE} ${rig.path('file')}`)).code).to.equal(0);
    await rig.until(() => rig.mapped.length === 2);
    expect(rig.mapped).to.deep.equal([
      [0, R, 0],
      [R, 2 * PAGE, R],
    ]);
    expect(rig.sentMappings.slice(2)).to.deep.equal([
      ['unmap', R, R],
      ['map', R, 2 * PAGE],
    ]);
  });

  it('never lets anybody truncate what is mapped where it was told to refuse', async () => {
    await using rig = await mapped(2 * R, [0, 1], { dax: { guard: 'refuse' } });
    const { said } = await beside(rig, `: > ${rig.path('file')}`);
    expect(said).to.match(/Text file busy/i);
    expect((await beside(rig, `truncate -s ${3 * R} ${rig.path('file')}`)).code).to.equal(0);
    expect(statSync(rig.path('file')).size).to.equal(3 * R);
  });

  it('maps nothing that a truncation under way is about to take', async () => {
    await using rig = await mapped(3 * R, [0, 2]);
    rig.hold();
    const outcome = beside(rig, `truncate -s ${R} ${rig.path('file')}`);
    await rig.inFlight();
    const late = rig.sendMap(made.nodeid, 1, 5);
    await rig.turns(5);
    rig.release();
    expect((await outcome).code).to.equal(0);
    expect((await rig.reply(late)).error).not.to.equal(0);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });

  it('waits for a mapping on its way, which goes too', async () => {
    await using rig = await mapped(3 * R, [0]);
    rig.hold();
    const sent = rig.sendMap(made.nodeid, 2, 2);
    await rig.inFlight();
    const outcome = beside(rig, `truncate -s ${2 * R} ${rig.path('file')}`);
    await rig.turns(5);
    rig.release();
    expect((await outcome).code).to.equal(0);
    await rig.reply(sent);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });

  it('refuses while the rings stand still, since nothing can be unmapped', async () => {
    await using rig = await mapped(2 * R, [0, 1]);
    rig.host.pause();
    expect((await beside(rig, `: > ${rig.path('file')}`)).said).to.match(/Text file busy/i);
    rig.host.start();
    expect((await beside(rig, `: > ${rig.path('file')}`)).code).to.equal(0);
    expect(rig.mapped).to.deep.equal([]);
  });

  it('refuses when the rings stop before the unmap was sent, and maps what went at the next start', async () => {
    await using rig = await mapped(3 * R, [0, 1, 2]);
    rig.hold();
    const outcome = beside(rig, `: > ${rig.path('file')}`);
    await rig.inFlight();
    rig.host.pause();
    rig.release();
    const { code } = await outcome;
    expect(code).not.to.equal(0);
    rig.host.start();
    await rig.until(() => rig.mapped.length === 3);
    expect(statSync(rig.path('file')).size).to.equal(3 * R);
  });

  it('does not stand in the way of its own guest', async () => {
    await using rig = await mapped(2 * R, [0, 1]);
    truncateSync(rig.path('file'), 100 * PAGE);
    writeFileSync(rig.path('file'), Buffer.alloc(R, 1));
    expect(rig.device.stats.guard).to.deep.equal({ allowed: 0, yielded: 0, refused: 0, unasked: 0 });
    expect(rig.mapped.length).to.equal(2);
  });

  it('lets another back-end grow and shorten a file that is mapped behind its end', async () => {
    await using rig = await mapped(R, [0]);
    await rig.call((r) => r.setattr(made.nodeid, { size: R + 5000 }));
    expect(await rig.map(made.nodeid, 1, 1)).to.equal(0);
    expect(rig.mapped[1]).to.deep.equal([R, R, R]);
    const { code, said } = await beside(
      rig,
      `truncate -s ${2 * R} ${rig.path('file')}; truncate -s ${R + 5000} ${rig.path('file')}`,
    );
    expect(said).to.equal('');
    expect(code).to.equal(0);
    expect(rig.mapped.length).to.equal(2);
    expect((await beside(rig, `truncate -s ${R + 4000} ${rig.path('file')}`)).said).to.match(/Text file busy/i);
  });

  it('lets go of a file when the guest does', async () => {
    await using rig = await mapped(2 * R, [0]);
    await rig.unmap(made.nodeid, 0);
    expect((await beside(rig, `truncate -s 3 ${rig.path('file')}`)).code).to.equal(0);
    expect(rig.device.stats.guard.allowed).to.equal(0);
  });

  it('unmaps late what became shorter in a way that nobody is asked about', async () => {
    await using rig = await mapped(4 * R, [0, 3]);
    const early = openSync(rig.path('file'), 'r+');
    closeSync(early);
    const { code } = await beside(rig, `fallocate -c -o 0 -l ${2 * R} ${rig.path('file')}`);
    if (code !== 0) return;
    await rig.until(() => rig.mapped.length === 1);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
  });

  it('maps nothing behind the end of a file, also where mappings may end there', async () => {
    await using rig = await mapped(R + 5000, [0, 1], LOOSE);
    expect(rig.mapped).to.deep.equal([
      [0, R, 0],
      [R, 2 * PAGE, R],
    ]);
    expect((await beside(rig, `truncate -s ${R} ${rig.path('file')}`)).code).to.equal(0);
    expect(rig.mapped).to.deep.equal([[0, R, 0]]);
    expect((await beside(rig, `truncate -s ${R + 10} ${rig.path('file')}`)).code).to.equal(0);
    await rig.call((r) => r.getattr(made.nodeid));
    await rig.until(() => rig.mapped.length === 2);
  });

  it('is refused at the start where the host has none', async () => {
    const failing = mockSys({ fanotify: { init: () => -ENOMEM } });
    expect(() => new Rig({ sys: failing, dax: { guard: 'auto' } }))
      .to.throw(FsDaxError)
      .with.property('code', 'ERR_FSDAX_GUARD');
  });

  it('gives no DAX to a file that it cannot watch', async () => {
    const failing = mockSys({ fanotify: { markFd: () => -ENODATA } });
    const { rig: blind, nodeid } = await withFile(2 * R, { sys: failing, dax: { guard: 'auto' } });
    await using rig = blind;
    expect(await rig.map(nodeid, 0, 0)).not.to.equal(0);
    expect(rig.mapped).to.deep.equal([]);
  });
});
