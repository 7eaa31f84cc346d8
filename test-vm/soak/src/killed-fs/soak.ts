/**
 * Soak `killed-fs`: programs of a guest work on a share while the back-end is killed by SIGKILL and started again by its
 * launcher. Each request is answered exactly once and rightly; at the end the host's tree is what the guest believes, and the
 * back-end holds nothing for a guest that gave everything back.
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { openSys, type Sys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { must, SoakError, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { SoakRun, Tally } from '../soak.ts';
import { KilledGuest } from './guest.ts';
import { RestartedOriel } from './restarted-oriel.ts';
import { killedFsActions, Worker } from './worker.ts';

const WORKERS = 8;
/** Kills of one round: its back-end is started once. */
const KILLS = 10;
/** A back-end that lived shorter is started again late. */
const LIFE_MS = 1050;
const SPREAD_MS = 150;
const TURN_MS = 2;
const ROOT = 1;
/** The root, its mount, and the copy of the mount that the store has: what the share itself needs. */
const OWN_DESCRIPTORS = 3;

export const enough = 4;
export const wanted = [...killedFsActions, 'kill', 'packed', 'split'];

export async function open(): Promise<SoakRun> {
  process.umask(0);
  const sys = openSys();
  const leaks = leakCheck();
  const dir = mkdtempSync(join(tmpdir(), 'oriel-killed-fs-'));
  return {
    async round(random, tally) {
      const base = mkdtempSync(join(dir, 'round-'));
      const share = join(base, 'share');
      mkdirSync(share);
      await using oriel = new RestartedOriel(base, share, [
        '--xattr',
        '--window=0',
        '--packed-rings',
        '--log-level=info',
        // A start into a sandbox takes twice as long, and what is open there has no path on the host: see `openInShare`.
        ...(random.once(2) ? [] : ['--sandbox=none']),
      ]);
      try {
        await work(sys, oriel, share, random, tally);
      } catch (error) {
        throw new SoakError('ERR_SOAK_MISMATCH', `${String(error)}\n${oriel.log}`, { cause: error });
      }
      await oriel.stop();
      rmSync(base, { recursive: true });
    },
    async [Symbol.asyncDispose]() {
      rmSync(dir, { recursive: true, force: true });
      leaks.check();
    },
  };
}

async function work(sys: Sys, oriel: RestartedOriel, share: string, random: Xorshift, tally: Tally): Promise<void> {
  const packed = random.once(2);
  tally.saw(packed ? 'packed' : 'split');
  using guest = new KilledGuest(sys, oriel.socketPath, packed);
  const ask = (request: RequestEncoder): Promise<ReplyDecoder> => answer(guest, request);
  await ask(guest.request.init());
  const workers: Worker[] = [];
  const dirs: string[] = [];
  for (let index = 0; index < WORKERS; index++) {
    const reply = await ask(guest.request.mkdir(ROOT, `dir${index}`, 0o755));
    dirs.push(`dir${index}`);
    workers.push(new Worker(guest, reply.readEntry().nodeid, random, tally));
  }
  for (let kill = 0; kill < KILLS; kill++) {
    await load(guest, workers, kill + 1, LIFE_MS + random.below(SPREAD_MS));
    oriel.kill();
    tally.saw('kill');
  }
  await load(guest, workers, KILLS + 1, LIFE_MS);
  await settle(guest);
  same('back-ends', guest.lives, KILLS + 1);
  for (const [index, worker] of workers.entries()) {
    same(`dir${index} on the host`, hostPicture(join(share, dirs[index]!)), worker.picture.map(withoutMark).join('\n'));
  }
  for (const worker of workers) {
    while (worker.giveBack()) await settle(guest);
  }
  await settle(guest);
  // The workers' directories are what is left.
  const left = oriel.openInShare;
  must(left.length <= OWN_DESCRIPTORS + WORKERS, `the back-end has open: ${left.join(' ')}`);
}

/** Lets the programs work, for a while of the `life`-th back-end's. */
async function load(guest: KilledGuest, workers: readonly Worker[], life: number, forMs: number): Promise<void> {
  let end = Number.POSITIVE_INFINITY;
  while (performance.now() < end) {
    if (guest.lives === life) end = Math.min(end, performance.now() + forMs);
    for (const worker of workers) if (worker.idle) worker.act();
    guest.turn(TURN_MS);
    // The launcher's pipes and the exit of children are Node's to see.
    await new Promise((done) => setImmediate(done));
  }
}

async function settle(guest: KilledGuest): Promise<void> {
  while (!guest.idle) {
    guest.turn(TURN_MS);
    await new Promise((done) => setImmediate(done));
  }
}

async function answer(guest: KilledGuest, request: RequestEncoder): Promise<ReplyDecoder> {
  let answered: ReplyDecoder | null = null;
  guest.send(request, (reply) => {
    answered = reply;
  });
  await settle(guest);
  return answered!;
}

/** As `Worker.picture`, less the attributes. */
function hostPicture(dir: string): string {
  return readdirSync(dir)
    .map((name) => {
      const path = join(dir, name);
      const stat = lstatSync(path);
      if (stat.isDirectory()) return `${name} directory `;
      if (stat.isSymbolicLink()) return `${name} link ${Buffer.from(readlinkSync(path)).toString('base64')}`;
      return `${name} file ${readFileSync(path).toString('base64')}`;
    })
    .sort()
    .join('\n');
}

const withoutMark = (line: string): string => line.split(' ').slice(0, 3).join(' ');
