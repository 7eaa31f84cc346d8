/** Requests as a driver sends them, of every opcode, mostly about what there is. */
import type { RequestEncoder } from '@oriel/fuse/client';
import {
  O_APPEND,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFCHR,
  S_IFIFO,
  S_IFREG,
  S_IFSOCK,
} from '@oriel/sys';
import type { Xorshift } from '../random.ts';
import { someName, someTarget } from './names.ts';
import { type FuseWorld, ROOT } from './world.ts';

const FALLOC_KEEP_SIZE = 1;
const FALLOC_PUNCH_HOLE = 2;
const MOST_DATA = 20_000;
/** The null device: harmless, should anybody open it. */
const NULL_DEVICE = 0x103;
const STICKY_AND_SUID = 0o7777;
const XATTRS = ['user.a', 'user.b', 'trusted.x', 'security.capability', 'system.posix_acl_access', 'user.', 'bad'];

/** How often each is sent. */
const WEIGHTS = {
  lookup: 20,
  getattr: 8,
  setattr: 8,
  readlink: 4,
  symlink: 3,
  mknod: 4,
  mkdir: 5,
  unlink: 5,
  rmdir: 3,
  rename: 4,
  rename2: 3,
  link: 4,
  open: 12,
  opendir: 5,
  create: 8,
  tmpfile: 1,
  read: 10,
  write: 10,
  statfs: 1,
  release: 8,
  releasedir: 4,
  flush: 3,
  fsync: 2,
  fsyncdir: 1,
  setxattr: 3,
  getxattr: 3,
  listxattr: 2,
  removexattr: 1,
  readdir: 4,
  readdirplus: 5,
  fallocate: 3,
  lseek: 3,
  copyFileRange: 3,
  forget: 8,
  batchForget: 2,
  interrupt: 1,
  setupmapping: 1,
  removemapping: 1,
  raw: 2,
} as const;

/** Names of the requests. */
export const REQUEST_NAMES = Object.keys(WEIGHTS) as readonly (keyof typeof WEIGHTS)[];

/** A request in the encoder, with the data that follows it. */
export interface SomeRequest {
  readonly name: string;
  readonly data: Uint8Array | undefined;
}

const NO_DATA = undefined;

/** Encodes a request. What the world loses by it (lookups, handles) is taken away at once. */
export function encodeRequest(encoder: RequestEncoder, world: FuseWorld, random: Xorshift): SomeRequest {
  const name = random.weighted(WEIGHTS);
  encoder.uid = random.pick([0, 0, 0, 1000, random.u32()]);
  encoder.gid = random.pick([0, 0, 0, 1000, random.u32()]);
  encoder.supplementaryGroup = random.once(6) ? random.below(3000) : -1;
  return { name, data: encode(encoder, world, random, name) };
}

function encode(
  encoder: RequestEncoder,
  world: FuseWorld,
  random: Xorshift,
  name: keyof typeof WEIGHTS,
): Uint8Array | undefined {
  const offset = (): number => random.pick([0, 0, 1, 4096, random.below(100_000), 2 ** 40, 2 ** 53 - 1]);
  const size = (): number => random.pick([0, 1, 100, 4096, 5000, random.below(70_000)]);
  const mode = (): number => random.below(STICKY_AND_SUID + 1);
  const file = world.file();
  const directory = world.directory();
  const [node, parent, fileNode] = [world.node(), world.parent(), world.fileNode()];
  switch (name) {
    case 'lookup':
      encoder.lookup(parent, someName(random));
      break;
    case 'getattr':
      encoder.getattr(node, random.once(3) ? file.fh : -1);
      break;
    case 'setattr':
      encodeSetattr(encoder, world, random);
      break;
    case 'readlink':
      encoder.readlink(world.linkNode());
      break;
    case 'symlink':
      encoder.symlink(parent, someName(random), someTarget(random));
      break;
    case 'mknod': {
      const type = random.pick([S_IFREG, S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, 0o160000]);
      encoder.mknod(parent, someName(random), type | mode(), NULL_DEVICE, mode());
      break;
    }
    case 'mkdir':
      encoder.mkdir(parent, someName(random), mode(), mode());
      break;
    case 'unlink':
      encoder.unlink(parent, someName(random));
      break;
    case 'rmdir':
      encoder.rmdir(parent, someName(random));
      break;
    case 'rename':
      encoder.rename(parent, someName(random), world.parent(), someName(random));
      break;
    case 'rename2': {
      const flags = random.pick([0, RENAME_NOREPLACE, RENAME_EXCHANGE, 4, 8]);
      encoder.rename2(parent, someName(random), world.parent(), someName(random), flags);
      break;
    }
    case 'link':
      encoder.link(fileNode, parent, someName(random));
      break;
    case 'open':
      encoder.open(fileNode, someFlags(random), random.below(2));
      break;
    case 'opendir':
      encoder.opendir(parent);
      break;
    case 'create':
      encoder.create(parent, someName(random), someFlags(random) | O_CREAT, mode(), mode(), random.below(2));
      break;
    case 'tmpfile':
      encoder.tmpfile(parent, someFlags(random), mode());
      break;
    case 'read':
      encoder.read(file.nodeid, file.fh, offset(), random.once(20) ? 2 ** 20 : size());
      break;
    case 'write': {
      const data = new Uint8Array(random.below(MOST_DATA)).fill(random.u32());
      encoder.write(file.nodeid, file.fh, offset(), data.length, someFlags(random), random.below(8));
      return data;
    }
    case 'statfs':
      encoder.statfs(node);
      break;
    case 'release': {
      const { nodeid, fh } = world.take(world.files);
      encoder.release(nodeid, fh);
      break;
    }
    case 'releasedir': {
      const { nodeid, fh } = world.take(world.directories);
      encoder.releasedir(nodeid, fh);
      break;
    }
    case 'flush':
      encoder.flush(file.nodeid, file.fh);
      break;
    case 'fsync':
      encoder.fsync(file.nodeid, file.fh, random.below(2));
      break;
    case 'fsyncdir':
      encoder.fsyncdir(directory.nodeid, directory.fh);
      break;
    case 'setxattr':
      encoder.setxattr(node, random.pick(XATTRS), new Uint8Array(random.below(400)), random.below(3), random.below(2));
      break;
    case 'getxattr':
      encoder.getxattr(node, random.pick(XATTRS), random.pick([0, 10, 400, 65536]));
      break;
    case 'listxattr':
      encoder.listxattr(node, random.pick([0, 5, 400]));
      break;
    case 'removexattr':
      encoder.removexattr(node, random.pick(XATTRS));
      break;
    case 'readdir':
      encoder.readdir(directory.nodeid, directory.fh, random.pick([0, 0, random.u32()]), 0, size());
      break;
    case 'readdirplus':
      encoder.readdirplus(directory.nodeid, directory.fh, random.pick([0, 0, 3]), 0, size());
      break;
    case 'fallocate': {
      const flags = random.pick([0, FALLOC_KEEP_SIZE, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE, random.below(256)]);
      encoder.fallocate(file.nodeid, file.fh, offset(), size(), flags);
      break;
    }
    case 'lseek':
      encoder.lseek(file.nodeid, file.fh, offset(), random.below(6));
      break;
    case 'copyFileRange': {
      const [from, to] = [world.file(), world.file()];
      encoder.copyFileRange({ ...from, offset: offset() }, { ...to, offset: offset() }, size(), random.once(2));
      break;
    }
    case 'forget':
      encodeForget(encoder, world, random);
      break;
    case 'batchForget': {
      const pairs = Array.from({ length: random.below(4) }, () => takeLookups(world, random)).flat();
      encoder.batchForget(pairs);
      break;
    }
    case 'interrupt':
      encoder.interrupt(random.u32(), random.u32());
      break;
    case 'setupmapping':
      encoder.setupmapping(node, offset(), size(), random.below(4), offset());
      break;
    case 'removemapping':
      encoder.removemapping(node, [offset(), size(), offset(), size()]);
      break;
    case 'raw':
      encoder.raw(
        random.pick([7, 19, 31, 34, 39, 52, 54, 63, 64, 4096, random.u32()]),
        node,
        random.fill(new Uint8Array(random.below(200))),
        300,
      );
      break;
  }
  return NO_DATA;
}

function someFlags(random: Xorshift): number {
  const access = random.pick([O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, 3]);
  return access | random.pick([0, 0, O_TRUNC, O_APPEND, O_EXCL, random.once(8) ? random.u32() & 0x7fff_ffff : 0]);
}

function encodeSetattr(encoder: RequestEncoder, world: FuseWorld, random: Xorshift): void {
  const ids = [0, 1000, 0xffff_fffe];
  encoder.setattr(world.node(), {
    ...(random.once(3) ? { fh: world.file().fh } : {}),
    ...(random.once(2) ? { size: random.pick([0, 100, 4096, 100_000, 2 ** 40, 2 ** 53 - 1]) } : {}),
    ...(random.once(3) ? { mode: random.below(STICKY_AND_SUID + 1) } : {}),
    ...(random.once(4) ? { uid: random.pick(ids), gid: random.pick(ids) } : {}),
    ...(random.once(4) ? { atime: random.pick([0, 'now', 1e9, 2 ** 40]), atimeNs: random.below(2e9) } : {}),
    ...(random.once(4) ? { mtime: random.pick([0, 'now', 1e9, 2 ** 40]), mtimeNs: random.below(2e9) } : {}),
    killSuidgid: random.once(4),
  });
}

function encodeForget(encoder: RequestEncoder, world: FuseWorld, random: Xorshift): void {
  const [nodeid, count] = takeLookups(world, random);
  encoder.forget(nodeid, count);
}

/** Some lookups of an inode, which the driver gives up; of the root as many as it likes. */
function takeLookups(world: FuseWorld, random: Xorshift): [nodeid: number, count: number] {
  const known = [...world.lookups];
  if (known.length === 0) return [ROOT, 1];
  const [nodeid, held] = random.pick(known);
  const count = random.once(2) ? held : random.from(1, held);
  world.forgot(nodeid, count);
  return [nodeid, count];
}
