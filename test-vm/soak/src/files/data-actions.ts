/** Actions on the contents of files, by requests and through the window. */
import { O_CREAT, O_EXCL, O_RDWR } from '@oriel/sys';
import { DAX_RANGE } from '@oriel/test-vm-loopback';
import { must, SoakError, same } from '../errors.ts';
import { Xorshift } from '../random.ts';
import { ModelFile } from './model-tree.ts';
import type { Session } from './session.ts';

const PAGE = 4096;
const MOST_FILE = 7 << 20;
const MOST_DATA = 70_000;
const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;

/** Random bytes to take contents from. */
const pool = new Xorshift(1).fill(new Uint8Array(1 << 18));

/** One of the actions, by name. */
export type DataAction =
  | 'write'
  | 'append'
  | 'truncate'
  | 'read'
  | 'load'
  | 'store'
  | 'allocate'
  | 'punch'
  | 'copy'
  | 'sync';

/** Does it to some file. */
export function actOnData(session: Session, action: DataAction): void {
  const { random } = session.around;
  const file = someFile(session);
  const { size } = file.bytes;
  switch (action) {
    case 'write':
      write(session, file, somewhere(session, size, MOST_FILE - MOST_DATA));
      break;
    case 'append':
      if (size < MOST_FILE - MOST_DATA) write(session, file, size);
      break;
    case 'truncate':
      truncate(session, file, random.once(6) ? 0 : somewhere(session, size, MOST_FILE));
      break;
    case 'read':
      read(session, file, somewhere(session, size, MOST_FILE), random.below(MOST_DATA));
      break;
    case 'load':
    case 'store':
      if (size > 0 && session.usesWindow(file)) access(session, file, action === 'store');
      break;
    case 'allocate':
      allocate(session, file, somewhere(session, size, MOST_FILE - MOST_DATA), random.from(1, MOST_DATA));
      break;
    case 'punch':
      punch(session, file, somewhere(session, size, MOST_FILE - MOST_DATA), random.from(1, MOST_DATA));
      break;
    case 'copy':
      copy(session, file, someFile(session));
      break;
    case 'sync':
      file.unsynced = true;
      session.sync(file);
      break;
  }
}

/** A file that the guest knows or could look up; made where there is none. */
export function someFile(session: Session): ModelFile {
  const { random, tree } = session.around;
  const known = session.files.knownFiles();
  const files = known.length > 0 && random.once(2) ? known : tree.files();
  if (files.length > 0) return random.pick(files);
  const place = { directory: tree.root, name: 'first' };
  const file = new ModelFile();
  must(tree.add(place, file) === 0, 'a name in an empty tree is free');
  session.files.encoder.create(1, place.name, O_RDWR | O_CREAT | O_EXCL, 0o644);
  const reply = session.files.expect('CREATE', 0)!;
  const { fh } = reply;
  session.files.learn(file, reply);
  session.files.known(file)!.handles.push(fh);
  return file;
}

/** Compares all of a file by READ. */
export function readAll(session: Session, file: ModelFile): void {
  const step = 1 << 20;
  for (let at = 0; at < file.bytes.size; at += step) read(session, file, at, step);
}

/** An offset: anywhere, at an edge of a page, of a range, or of the file, or behind its end. */
function somewhere(session: Session, size: number, most: number): number {
  const { random } = session.around;
  const edge = random.pick([PAGE, PAGE, DAX_RANGE, DAX_RANGE]);
  const near = random.below(Math.floor(most / edge) + 1) * edge;
  const offset = random.pick([
    random.below(size + 1),
    random.below(size + 1),
    size,
    size - random.below(PAGE),
    near,
    near + random.from(-10, 10),
    random.below(most),
  ]);
  return Math.min(Math.max(offset, 0), most);
}

function someBytes(session: Session): Uint8Array {
  const { random } = session.around;
  const len = random.pick([1, random.from(1, 100), PAGE, random.from(1, MOST_DATA)]);
  const at = random.below(pool.length - len);
  return pool.subarray(at, at + len);
}

function write(session: Session, file: ModelFile, offset: number): void {
  const { files } = session;
  const bytes = someBytes(session);
  files.encoder.write(files.inode(file).nodeid, files.handle(file), offset, bytes.length);
  session.noteChange(file);
  const reply = files.expect('WRITE', 0, [bytes])!;
  same('bytes written', reply.count, bytes.length);
  file.bytes.write(offset, bytes);
}

function truncate(session: Session, file: ModelFile, size: number): void {
  const { files, around } = session;
  const { nodeid } = files.inode(file);
  const change = around.random.once(2) ? { size, fh: files.handle(file) } : { size };
  files.encoder.setattr(nodeid, change);
  session.noteChange(file);
  const { attr } = files.expect('SETATTR', 0)!;
  file.bytes.truncate(size);
  must(attr !== undefined, 'attributes');
}

function read(session: Session, file: ModelFile, offset: number, len: number): void {
  const { files } = session;
  session.sync(file);
  files.encoder.read(files.inode(file).nodeid, files.handle(file), offset, len);
  const { data } = files.expect('READ', 0)!;
  const wanted = Math.max(0, Math.min(len, file.bytes.size - offset));
  same('bytes read', data.length, wanted);
  if (wanted > 0) sameBytes('READ', data, file, offset);
}

/** Loads from, or stores to, part of a file in the window. */
function access(session: Session, file: ModelFile, stores: boolean): void {
  const { random, tally, tail } = session.around;
  const { nodeid } = session.files.inode(file);
  const { size } = file.bytes;
  const start = Math.min(somewhere(session, size, size), size - 1);
  const end = Math.min(size, start + random.pick([1, PAGE, MOST_DATA]));
  for (let at = start; at < end; ) {
    const piece = session.slots.reach(nodeid, at, end - at);
    if (typeof piece === 'number') {
      must(session.mayRefuse(file, at, piece), `SETUPMAPPING at ${at} of ${size} bytes: errno ${piece}`);
      tally.saw('tail refused');
      return;
    }
    const { moffset, len } = piece;
    if (stores) {
      const from = random.below(pool.length - len);
      const bytes = pool.subarray(from, from + len);
      same('bytes stored', session.vm.window.write(moffset, bytes), len);
      file.bytes.write(at, bytes);
      if (tail === 'copy') file.unsynced = true;
    } else {
      const bytes = new Uint8Array(len);
      same('bytes loaded', session.vm.window.read(moffset, bytes), len);
      sameBytes('a load', bytes, file, at);
    }
    tally.saw(stores ? 'stored' : 'loaded');
    at += len;
  }
}

function allocate(session: Session, file: ModelFile, offset: number, len: number): void {
  const { files } = session;
  files.encoder.fallocate(files.inode(file).nodeid, files.handle(file), offset, len);
  session.noteChange(file);
  files.expect('FALLOCATE', 0);
  if (offset + len > file.bytes.size) file.bytes.truncate(offset + len);
}

function punch(session: Session, file: ModelFile, offset: number, len: number): void {
  const { files } = session;
  const mode = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE;
  files.encoder.fallocate(files.inode(file).nodeid, files.handle(file), offset, len, mode);
  session.noteChange(file);
  files.expect('FALLOCATE', 0);
  file.bytes.clear(offset, len);
}

function copy(session: Session, from: ModelFile, to: ModelFile): void {
  const { files } = session;
  if (from === to || from.bytes.size === 0) return;
  session.sync(from);
  const offset = somewhere(session, from.bytes.size - 1, from.bytes.size - 1);
  const target = somewhere(session, to.bytes.size, MOST_FILE - MOST_DATA);
  const source = { nodeid: files.inode(from).nodeid, fh: files.handle(from), offset };
  const sink = { nodeid: files.inode(to).nodeid, fh: files.handle(to), offset: target };
  files.encoder.copyFileRange(source, sink, session.around.random.from(1, MOST_DATA), true);
  session.noteChange(to);
  const copied = files.expect('COPY_FILE_RANGE_64', 0)!.count;
  to.bytes.write(target, from.bytes.at(offset, copied).slice());
}

/** @throws SoakError ERR_SOAK_MISMATCH with the first byte that differs */
function sameBytes(what: string, got: Uint8Array, file: ModelFile, offset: number): void {
  const wanted = file.bytes.at(offset, got.length);
  if (Buffer.compare(got, wanted) === 0) return;
  const at = got.findIndex((byte, index) => byte !== wanted[index]);
  const where = `byte ${offset + at} of ${file.bytes.size}`;
  throw new SoakError('ERR_SOAK_MISMATCH', `${what}: ${where} is ${got[at]}, wanted ${wanted[at]}`);
}
