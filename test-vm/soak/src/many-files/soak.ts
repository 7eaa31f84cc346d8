/**
 * Soak `many-files`: a guest looks up every file of a large tree, then forgets them all, again and again. Afterwards the back-end
 * knows no inode, has the descriptors that it began with, and takes no more memory than after the first round. How many files:
 * ORIEL_MANY_FILES, a multiple of 1000; 1,000,000 take 20 s a round, and 1 GB of disk or tmpfs.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RequestEncoder } from '@oriel/fuse/client';
import { openSys } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { FuseClient, LoopbackVm, type PendingRequest } from '@oriel/test-vm-loopback';
import { must, same } from '../errors.ts';
import type { SoakRun, Tally } from '../soak.ts';
import type { Holdings } from './back-end.ts';

const FOLDER = 1000;
const FILES = Number(process.env['ORIEL_MANY_FILES'] ?? 4 * FOLDER);
/** Descriptors that the back-end may have for inodes; the others are file handles. */
const INODE_DESCRIPTORS = 64;
/** Requests under way at a time. */
const DEPTH = 100;
/** FORGETs in one BATCH_FORGET. */
const BATCH = 500;
/** What the process may have grown by since the first round, in which its tables grow to their size. */
const GROWTH = 1.05;
/** Few files prove nothing about memory: the process is still warming up. */
const LEAST_FILES = 100_000;
const RAM_BYTES = 8 << 20;
const TIMEOUT_MS = 60_000;

export const wanted = ['lookup', 'forget', 'round'];
export const enough = 1;

class ManyFiles implements SoakRun {
  readonly #dir: TempDir;
  readonly #child: ChildProcess;
  readonly #vm: LoopbackVm;
  readonly #client: FuseClient;
  readonly #encoder = new RequestEncoder();
  readonly #start: Holdings;
  #first: Holdings | null = null;
  #rounds = 0;

  constructor(dir: TempDir, child: ChildProcess, vm: LoopbackVm, client: FuseClient, start: Holdings) {
    this.#dir = dir;
    this.#child = child;
    this.#vm = vm;
    this.#client = client;
    this.#start = start;
  }

  static async open(): Promise<ManyFiles> {
    const dir = tempDir('oriel-many-');
    const sharedDir = join(dir.path, 'share');
    makeFiles(sharedDir);
    const socketPath = join(dir.path, 'socket');
    const file = fileURLToPath(new URL('./back-end.ts', import.meta.url));
    const child = fork(file, [sharedDir, socketPath, String(INODE_DESCRIPTORS)], {
      execArgv: ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning', '--expose-gc'],
    });
    await once(child, 'message');
    const vm = LoopbackVm.connect({ sys: openSys(), socket: socketPath, ramSize: RAM_BYTES, timeoutMs: TIMEOUT_MS });
    vm.start();
    const client = new FuseClient(vm);
    client.mount('never');
    return new ManyFiles(dir, child, vm, client, await holdings(child));
  }

  async round(_random: unknown, tally: Tally): Promise<void> {
    const nodeids: number[] = [];
    const folders = this.#lookUp(Array.from({ length: FILES / FOLDER }, (_, folder) => [1, `d${folder}`] as const));
    for (const folder of folders) {
      nodeids.push(...this.#lookUp(Array.from({ length: FOLDER }, (_, file) => [folder, `f${file}`] as const)));
    }
    tally.saw('lookup', nodeids.length);
    const known = await holdings(this.#child);
    same('inodes known', known.inodes, FILES + folders.length);
    must(known.inodeDescriptors <= INODE_DESCRIPTORS, `${known.inodeDescriptors} descriptors of inodes`);
    this.#forget([...nodeids, ...folders]);
    tally.saw('forget', nodeids.length);
    tally.did('round');
    const now = await holdings(this.#child);
    same('inodes known after all were forgotten', now.inodes, 0);
    same('descriptors', now.descriptors, this.#start.descriptors);
    this.#rounds++;
    if (FILES < LEAST_FILES) return;
    process.stderr.write(`round ${this.#rounds}: ${known.rss >> 20} MiB, then ${now.rss >> 20} MiB\n`);
    this.#first ??= now;
    const most = this.#first.rss * GROWTH;
    must(now.rss <= most, `${now.rss} bytes resident after round ${this.#rounds}, most ${most}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    try {
      this.#client.unmount();
      this.#vm[Symbol.dispose]();
    } finally {
      this.#child.disconnect();
      await ended;
      this.#dir[Symbol.dispose]();
    }
  }

  /** LOOKUPs, many at a time. @returns their nodeids */
  #lookUp(names: readonly (readonly [parent: number, name: string])[]): number[] {
    const nodeids: number[] = [];
    for (let at = 0; at < names.length; at += DEPTH) {
      const sent = names
        .slice(at, at + DEPTH)
        .map(([parent, name]): PendingRequest => this.#client.send('LOOKUP', this.#encoder.lookup(parent, name)));
      for (const one of sent) nodeids.push(this.#client.finish(one).readEntry().nodeid);
    }
    return nodeids;
  }

  #forget(nodeids: readonly number[]): void {
    for (let at = 0; at < nodeids.length; at += BATCH) {
      const pairs = nodeids.slice(at, at + BATCH).flatMap((nodeid) => [nodeid, 1]);
      this.#client.finish(this.#client.send('BATCH_FORGET', this.#encoder.batchForget(pairs), [], [], 0));
    }
  }
}

export function open(): Promise<SoakRun> {
  return ManyFiles.open();
}

/** Empty files, a thousand in a folder. */
function makeFiles(dir: string): void {
  for (let folder = 0; folder < FILES / FOLDER; folder++) {
    const path = join(dir, `d${folder}`);
    mkdirSync(path, { recursive: true });
    for (let file = 0; file < FOLDER; file++) closeSync(openSync(join(path, `f${file}`), 'w'));
  }
}

async function holdings(child: ChildProcess): Promise<Holdings> {
  const answer = once(child, 'message');
  child.send('holdings');
  return ((await answer) as [Holdings])[0];
}
