/** What `npm start` shows: the virtual machine mounts the share, reads and writes by both ways, and compares every byte. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { renderWindow } from '@oriel/shm-region';
import { O_CREAT, O_EXCL, O_RDWR, openSys } from '@oriel/sys';
import { DaxMapper } from '../dax-mapper.ts';
import { FuseClient } from '../fuse-client.ts';
import { LoopbackVm } from '../loopback-vm.ts';
import { bytes, type Print, sameBytes, stepPrinter } from './report.ts';

const TAG_BYTES = 36;
const STORED_BYTES = 65536;
const STORED_AT = 1 << 20;
const NOTE = 'Greetings from the guest, by FUSE WRITE.\n';
const NS_PER_S = 1e9;

/** What is toured: where its back-end listens, and where its files lie on the host. */
export interface TouredShare {
  readonly socketPath: string;
  path(name: string): string;
}

/** Walks through everything. @throws MismatchError; whatever the VM throws */
export function tour(share: TouredShare, print: Print): void {
  const sys = openSys();
  const start = sys.loop.nowNs();
  const step = stepPrinter(print);
  using vm = LoopbackVm.connect({ sys, socket: share.socketPath });
  vm.start();
  const client = new FuseClient(vm);
  const dax = new DaxMapper(client);
  const counted = { read: 0, written: 0 };

  const tag = Buffer.from(vm.config(0, TAG_BYTES)).toString().replaceAll('\0', '');
  const init = client.mount('always');
  step('Mount', `share "${tag}": FUSE ${init.major}.${init.minor}, a DAX window of ${bytes(vm.window.size)}`);

  const files = client.list().filter(({ entry }) => entry !== null);
  step('List', files.map(({ name, entry }) => `${name} (${bytes(entry!.attr.size)})`).join(', '));

  const hello = client.open('hello.txt');
  const text = client.read(hello, 0, hello.size);
  counted.read += text.length;
  same('hello.txt by FUSE READ', text, share);
  step('READ', `hello.txt: ${bytes(text.length)}, copied through the ring; same as on the host`);
  for (const line of Buffer.from(text).toString().trimEnd().split('\n')) step('', `| ${line}`);

  const noise = client.open('noise.bin');
  const before = client.requests;
  const seen = new Uint8Array(noise.size);
  dax.read(noise.nodeid, 0, seen);
  same('noise.bin through the window', seen, share);
  step(
    'DAX load',
    `noise.bin: ${bytes(seen.length)} out of the window, ${client.requests - before} requests to map it; same as on the host`,
  );

  const note = client.create('from-guest.txt', O_CREAT | O_EXCL | O_RDWR);
  client.write(note, 0, Buffer.from(NOTE));
  counted.written += NOTE.length;
  client.close(note);
  same('from-guest.txt by FUSE WRITE', Buffer.from(NOTE), share);
  step('WRITE', `from-guest.txt: ${bytes(NOTE.length)}; the host reads the same`);

  const stored = randomBytes(STORED_BYTES);
  dax.write(noise.nodeid, STORED_AT, stored);
  seen.set(stored, STORED_AT);
  client.fsync(noise);
  same('noise.bin after a store through the window', seen, share);
  step('DAX store', `noise.bin: ${bytes(STORED_BYTES)} written in place, no request; the host reads the same`);

  print('');
  print('What of which file the guest sees in its window:');
  const entries = vm.window.entries().map((entry) => ({ ...entry, label: basename(entry.file) }));
  for (const line of renderWindow(entries, vm.window.size)) print(`  ${line}`);

  client.close(hello);
  client.close(noise);
  client.unmount();
  const { maps, unmaps, bytesRead, bytesWritten } = vm.window.stats;
  const seconds = ((sys.loop.nowNs() - start) / NS_PER_S).toFixed(2);
  print('');
  step('Figures', `${client.requests} FUSE requests; ${maps} mappings made, ${unmaps} removed at umount`);
  step('', `by READ ${bytes(counted.read)}, by WRITE ${bytes(counted.written)}`);
  step('', `through the window ${bytes(bytesRead)} read, ${bytes(bytesWritten)} written; ${seconds} s in all`);
}

/** @param what - begins with the file's name */
function same(what: string, guest: Uint8Array, share: TouredShare): void {
  sameBytes(what, guest, readFileSync(share.path(what.split(' ', 1)[0]!)));
}
