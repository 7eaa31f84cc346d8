/** The guest's file system driver: one call for each FUSE request, which waits for its reply as a system call would. */
import {
  type Attributes,
  type Entry,
  FUSE_ATTR_DAX,
  FUSE_MAP_ALIGNMENT,
  FUSE_SETUPMAPPING_FLAG_READ,
  FUSE_SETUPMAPPING_FLAG_WRITE,
  FuseInHeader,
  IN_HEADER,
  OUT_HEADER,
  type StatfsOut,
} from '@oriel/fuse';
import {
  type Asked,
  type DirRecord,
  type InitReply,
  ReplyDecoder,
  RequestEncoder,
  type SetattrInput,
} from '@oriel/fuse/client';
import { EIO, O_RDWR, SysError } from '@oriel/sys';
import type { DriverBuffer } from '@oriel/virtqueue';
import { LoopbackError } from './errors.ts';
import type { GuestQueue, PendingChain } from './guest-queue.ts';
import type { LoopbackVm } from './loopback-vm.ts';

/** The `dax` mount option: every file, those that the back-end marks, or none. */
export type MountMode = 'always' | 'inode' | 'never';

/** What a lookup says of a file. */
export interface FileInfo {
  readonly nodeid: number;
  /** Bytes. */
  readonly size: number;
  readonly mode: number;
  /** The back-end marked it for DAX. */
  readonly dax: boolean;
  /** Seconds, with a fraction. */
  readonly mtime: number;
}

/** An open file. */
export interface OpenFile extends FileInfo {
  readonly fh: number;
}

/** A request in the back-end's hands. */
export interface PendingRequest {
  readonly name: string;
  readonly nodeid: number;
  readonly asked: Asked;
  readonly queue: GuestQueue;
  readonly chain: PendingChain;
}

/** What Linux 7.3 offers by default, see `InitInput`; without HAS_INODE_DAX; without MAP_ALIGNMENT. */
const FLAGS_LO = 0x7fff_fffb;
const FLAGS_HI = 0x5ff;
const FLAGS_HI_NO_INODE_DAX = 0x5fd;

const ROOT = 1;
const DIR_ROOM = 32768;
/** fuse_write_out.size, u32: the largest piece of one READ or WRITE here. */
const PIECE = 1 << 20;

/** Mounts a share and works on it. What the file system refuses is thrown as a `SysError` with the errno. */
export class FuseClient {
  readonly vm: LoopbackVm;
  /** Requests sent since the start. */
  requests = 0;
  readonly #encoder = new RequestEncoder();
  readonly #decoder = new ReplyDecoder();

  constructor(vm: LoopbackVm) {
    this.vm = vm;
  }

  /** INIT with the flags that Linux offers in this mode. @throws LoopbackError ERR_LOOPBACK_DEVICE when the mode needs a window */
  mount(mode: MountMode): InitReply {
    if (mode === 'always' && !this.vm.hasWindow) {
      throw new LoopbackError('ERR_LOOPBACK_DEVICE', 'the device has no DAX window: mount with inode or never');
    }
    const window = this.vm.hasWindow && mode !== 'never';
    const flagsLo = window ? FLAGS_LO : FLAGS_LO & ~FUSE_MAP_ALIGNMENT;
    const flagsHi = mode === 'inode' ? FLAGS_HI : FLAGS_HI_NO_INODE_DAX;
    return this.#call('INIT', this.#encoder.init({ flagsLo, flagsHi })).readInit();
  }

  /** DESTROY: what the kernel sends at the last umount. */
  unmount(): void {
    this.#call('DESTROY', this.#encoder.destroy());
  }

  lookup(name: string, parent = ROOT): FileInfo {
    return fileInfo(this.#call('LOOKUP', this.#encoder.lookup(parent, name)).readEntry());
  }

  /** Sent on the hiprio queue; nothing comes back but the chain. */
  forget(nodeid: number, count = 1): void {
    this.finish(this.send('FORGET', this.#encoder.forget(nodeid, count), [], [], 0));
  }

  getattr(nodeid: number): FileInfo {
    return this.finishAttributes(this.sendGetattr(nodeid));
  }

  /** GETATTR without waiting for the reply: see `finishAttributes`. */
  sendGetattr(nodeid: number): PendingRequest {
    return this.send('GETATTR', this.#encoder.getattr(nodeid));
  }

  /** Waits for the reply to a GETATTR. @throws as `finish` */
  finishAttributes(pending: PendingRequest): FileInfo {
    return attrInfo(pending.nodeid, this.finish(pending).readAttributes());
  }

  setattr(nodeid: number, change: SetattrInput): FileInfo {
    return attrInfo(nodeid, this.#call('SETATTR', this.#encoder.setattr(nodeid, change)).readAttributes());
  }

  /** Looks up and opens. */
  open(name: string, flags = O_RDWR): OpenFile {
    const info = this.lookup(name);
    return { ...info, fh: this.#call('OPEN', this.#encoder.open(info.nodeid, flags)).fh };
  }

  create(name: string, flags = O_RDWR, mode = 0o644): OpenFile {
    const reply = this.#call('CREATE', this.#encoder.create(ROOT, name, flags, mode));
    return { ...fileInfo(reply.readEntry()), fh: reply.fh };
  }

  /** Reads up to `len` bytes; fewer at the end of the file. */
  read(file: OpenFile, offset: number, len: number): Uint8Array {
    const bytes = new Uint8Array(len);
    let done = 0;
    while (done < len) {
      const size = Math.min(PIECE, len - done);
      const { data } = this.#call('READ', this.#encoder.read(file.nodeid, file.fh, offset + done, size));
      bytes.set(data, done);
      done += data.length;
      if (data.length < size) break;
    }
    return bytes.subarray(0, done);
  }

  /** READ into a buffer that lies anywhere in the guest: in the window, for instance. @returns bytes read */
  readInto(file: OpenFile, offset: number, buffer: Pick<DriverBuffer, 'gpa' | 'len'>): number {
    const request = this.#encoder.read(file.nodeid, file.fh, offset, buffer.len);
    return this.finish(this.send('READ', request, [], [OUT_HEADER, { ...buffer, writable: true }])).bodyLen;
  }

  write(file: OpenFile, offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + PIECE);
      const request = this.#encoder.write(file.nodeid, file.fh, offset + done, part.length);
      const { count } = this.finish(this.send('WRITE', request, [part]));
      if (count === 0) throw new SysError(EIO, 'FUSE_WRITE');
      done += count;
    }
  }

  /** WRITE from a buffer that lies anywhere in the guest. @returns bytes written */
  writeFrom(file: OpenFile, offset: number, buffer: Pick<DriverBuffer, 'gpa' | 'len'>): number {
    const request = this.#encoder.write(file.nodeid, file.fh, offset, buffer.len);
    return this.finish(this.send('WRITE', request, [{ ...buffer, writable: false }])).count;
  }

  flush(file: OpenFile): void {
    this.#call('FLUSH', this.#encoder.flush(file.nodeid, file.fh));
  }

  fsync(file: OpenFile): void {
    this.#call('FSYNC', this.#encoder.fsync(file.nodeid, file.fh));
  }

  /** FLUSH and RELEASE: what close(2) sends. */
  close(file: OpenFile): void {
    this.flush(file);
    this.#call('RELEASE', this.#encoder.release(file.nodeid, file.fh));
  }

  unlink(name: string, parent = ROOT): void {
    this.#call('UNLINK', this.#encoder.unlink(parent, name));
  }

  statfs(): StatfsOut {
    return this.#call('STATFS', this.#encoder.statfs(ROOT)).readStatfs();
  }

  /** The entries of a directory; with `plus` each but `.` and `..` has its attributes, and counts as looked up. */
  list(plus = true, nodeid = ROOT): DirRecord[] {
    const { fh } = this.#call('OPENDIR', this.#encoder.opendir(nodeid));
    const records: DirRecord[] = [];
    for (let lo = 0, hi = 0; ; ) {
      const request = plus
        ? this.#encoder.readdirplus(nodeid, fh, lo, hi, DIR_ROOM)
        : this.#encoder.readdir(nodeid, fh, lo, hi, DIR_ROOM);
      const some = this.#call('READDIR', request).readRecords();
      records.push(...some);
      const last = some.at(-1);
      if (last === undefined) break;
      lo = last.cookieLo;
      hi = last.cookieHi;
    }
    this.#call('RELEASEDIR', this.#encoder.releasedir(nodeid, fh));
    return records;
  }

  /** SETUPMAPPING without waiting for the reply: see `finish`. */
  sendSetupMapping(nodeid: number, foffset: number, moffset: number, len: number, writable: boolean): PendingRequest {
    const flags = FUSE_SETUPMAPPING_FLAG_READ | (writable ? FUSE_SETUPMAPPING_FLAG_WRITE : 0);
    return this.send('SETUPMAPPING', this.#encoder.setupmapping(nodeid, foffset, len, flags, moffset));
  }

  setupMapping(nodeid: number, foffset: number, moffset: number, len: number, writable: boolean): void {
    this.finish(this.sendSetupMapping(nodeid, foffset, moffset, len, writable));
  }

  /** REMOVEMAPPING without waiting for the reply. @param pairs - moffset and len by turns */
  sendRemoveMapping(nodeid: number, pairs: readonly number[]): PendingRequest {
    return this.send('REMOVEMAPPING', this.#encoder.removemapping(nodeid, pairs));
  }

  removeMapping(nodeid: number, pairs: readonly number[]): void {
    this.finish(this.sendRemoveMapping(nodeid, pairs));
  }

  /**
   * Sends a request and does not wait. Descriptors are cut as Linux cuts them: header, arguments, data; header, reply, data.
   * @param data - behind the arguments: bytes, or buffers anywhere in the guest
   * @param room - for the reply, instead of guest memory
   */
  send(
    name: string,
    request: RequestEncoder,
    data: readonly (Uint8Array | DriverBuffer)[] = [],
    room?: readonly (number | DriverBuffer)[],
    queueIndex = 1,
  ): PendingRequest {
    const { opcode, uniqueLo, uniqueHi, len, bytes } = request;
    const nodeid = FuseInHeader.nodeid.get(new DataView(bytes.buffer, bytes.byteOffset), 0);
    const queue = this.vm.queues[queueIndex]!;
    const readable: (Uint8Array | DriverBuffer)[] = [bytes.subarray(0, IN_HEADER)];
    if (len > IN_HEADER) readable.push(bytes.subarray(IN_HEADER, len));
    readable.push(...data);
    const writable = room ?? (request.room > OUT_HEADER ? [OUT_HEADER, request.room - OUT_HEADER] : [request.room]);
    const chain = queue.request(readable, writable);
    this.requests++;
    return { name, nodeid, asked: { opcode, uniqueLo, uniqueHi, room: request.room }, queue, chain };
  }

  /** Waits for the reply of a request. @throws SysError with the file system's errno; FuseError for a reply that breaks rules */
  finish(pending: PendingRequest, timeoutMs?: number): ReplyDecoder {
    const { name, asked, queue, chain } = pending;
    const bytes = this.vm.await(queue, chain, timeoutMs, `reply to FUSE_${name}`);
    const reply = this.#decoder.take(asked, bytes, bytes.length);
    if (reply.error !== 0) throw new SysError(reply.error, `FUSE_${name}`);
    return reply;
  }

  #call(name: string, request: RequestEncoder): ReplyDecoder {
    return this.finish(this.send(name, request));
  }
}

function fileInfo(entry: Entry): FileInfo {
  return attrInfo(entry.nodeid, entry.attr);
}

function attrInfo(nodeid: number, attr: Attributes): FileInfo {
  const { size, mode, flags, mtime, mtimeNs } = attr;
  return { nodeid, size, mode, dax: (flags & FUSE_ATTR_DAX) !== 0, mtime: mtime + mtimeNs / 1e9 };
}
