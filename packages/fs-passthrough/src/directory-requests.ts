/** OPENDIR, READDIR, READDIRPLUS and RELEASEDIR. */
import type { DirSink, Operation } from '@oriel/fuse';
import {
  EBADF,
  EINVAL,
  ENFILE,
  ENOTDIR,
  escapeBytes,
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  S_IFDIR,
  type SysMem,
} from '@oriel/sys';
import { DirBuffer, NOBODY } from './dir-buffer.ts';
import { DirStreams } from './dir-streams.ts';
import { DIRECTORY } from './handles.ts';
import type { Lookup } from './lookup.ts';
import type { Share } from './share.ts';
import type { OwnEffects } from './survival/own-effects.ts';
import { OwnListings } from './survival/own-listings.ts';

const DOT = 0x2e;
/** Of every open directory. */
export const DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NONBLOCK;

/** The name of the record at which a buffer stands, for logs. */
class RecordName {
  buffer: DirBuffer | undefined;

  toString(): string {
    const buffer = this.buffer!;
    return escapeBytes(buffer.bytes.subarray(buffer.nameAt, buffer.nameAt + buffer.nameLen));
  }
}

/** Requests on open directories. */
export class DirectoryRequests implements Disposable {
  readonly #share: Share;
  readonly #lookup: Lookup;
  readonly #streams: DirStreams;
  readonly #own: OwnEffects;
  readonly #listings: OwnListings;
  readonly #recordName = new RecordName();
  readonly #mem: SysMem;
  /** For records that a helper thread has read. */
  #away: DirBuffer | null = null;

  constructor(mem: SysMem, share: Share, lookup: Lookup, own: OwnEffects) {
    this.#mem = mem;
    this.#share = share;
    this.#lookup = lookup;
    this.#own = own;
    this.#listings = new OwnListings(share);
    this.#streams = new DirStreams(mem, share.file);
  }

  opendir(op: Operation, nodeid: number): number {
    const { inodes, handles, settings, rareLog } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (inodes.type(slot) !== S_IFDIR) {
      return -ENOTDIR;
    }
    if (handles.full(DIRECTORY)) {
      rareLog.warn('the guest has as many directories open as limits.maxDirStreams allows: ENFILE', nodeid);
      return -ENFILE;
    }
    this.#own.takeBack(op.intent, DIRECTORY);
    const fd = this.#share.openInode(slot, DIRECTORY_FLAGS);
    if (fd < 0) {
      return fd;
    }
    if (op.intent !== null) {
      op.intent.fh = handles.nextFh;
    }
    op.fh = handles.fh(handles.insert(fd, DIRECTORY, inodes.device(slot), nodeid, DIRECTORY_FLAGS));
    op.openFlags = settings.cache.directoryFlags;
    return 0;
  }

  readdir(
    op: Operation,
    nodeid: number,
    fh: number,
    cookieLo: number,
    cookieHi: number,
    sink: DirSink,
    plus: boolean,
  ): number {
    const { handles, inodes } = this.#share;
    const handle = handles.slotOf(fh, DIRECTORY);
    const directory = inodes.slotOf(nodeid);
    if (handle < 0 || directory < 0) {
      return -EBADF;
    }
    const fd = handles.fd(handle);
    if (this.#share.runs.active !== null) {
      return this.#readAway(fd, cookieLo, cookieHi, sink);
    }
    const index = this.#streams.seek(handle, fd, cookieLo, cookieHi);
    if (index < 0) {
      return index;
    }
    this.#listings.begin(plus ? op.intent : null);
    const result = this.#list(op, directory, fd, this.#streams.buffer(index), sink, plus);
    this.#listings.end();
    return result;
  }

  #list(op: Operation, directory: number, fd: number, buffer: DirBuffer, sink: DirSink, plus: boolean): number {
    const { file } = this.#share;
    const room = sink.room;
    for (;;) {
      if (buffer.empty) {
        const len = file.getdents64(fd, buffer.addr, buffer.len);
        if (len <= 0) {
          // What was given so far is good; an error will show again at the next request.
          return len < 0 && sink.room === room ? len : 0;
        }
        buffer.refill(len);
      }
      const added = plus ? this.#addPlus(op, directory, fd, buffer, sink) : this.#add(buffer, sink);
      if (!added) {
        // An empty reply would mean the end of the directory.
        return sink.room === room ? -EINVAL : 0;
      }
      buffer.next();
    }
  }

  releasedir(op: Operation, fh: number): number {
    const { handles } = this.#share;
    const slot = handles.slotOf(fh, DIRECTORY);
    if (slot < 0) {
      return op.intent?.again ? 0 : -EBADF;
    }
    this.#streams.close(slot);
    handles.release(slot);
    return 0;
  }

  /** Every handle is gone. */
  clear(): void {
    this.#streams.clear();
  }

  [Symbol.dispose](): void {
    this.#streams[Symbol.dispose]();
    this.#away?.[Symbol.dispose]();
  }

  /**
   * In a run: one call's records, without attributes, since a mount may not answer for the second of them. Nothing is kept for the
   * next request.
   */
  #readAway(fd: number, cookieLo: number, cookieHi: number, sink: DirSink): number {
    this.#away ??= new DirBuffer(this.#mem);
    const buffer = this.#away;
    const { file, fd: sysFd, inodes } = this.#share;
    // A place of its own: another request may hold the handle's, or move it.
    const own = this.#share.openNumber(inodes.names.number(fd), DIRECTORY_FLAGS);
    if (own < 0) {
      return own;
    }
    const failed = cookieLo === 0 && cookieHi === 0 ? 0 : this.#streams.moveTo(own, cookieLo, cookieHi);
    const len = failed < 0 ? failed : file.getdents64(own, buffer.addr, buffer.len);
    sysFd.close(own);
    if (len <= 0) {
      return len;
    }
    buffer.reset(NOBODY, cookieLo, cookieHi);
    buffer.refill(len);
    const { room } = sink;
    while (!buffer.empty) {
      if (!this.#add(buffer, sink)) {
        return sink.room === room ? -EINVAL : 0;
      }
      buffer.next();
    }
    return 0;
  }

  /** A record without attributes; in a READDIRPLUS reply with nodeid 0. */
  #add(buffer: DirBuffer, sink: DirSink): boolean {
    const { bytes, nameAt, nameLen, inoLo, inoHi, nextLo, nextHi, type } = buffer;
    return sink.add(bytes, nameAt, nameLen, inoLo, inoHi, nextLo, nextHi, type, null);
  }

  #addPlus(op: Operation, directory: number, fd: number, buffer: DirBuffer, sink: DirSink): boolean {
    const { bytes, nameAt, nameLen } = buffer;
    if (sink.need(nameLen) > sink.room) {
      return false;
    }
    if (bytes[nameAt] === DOT && (nameLen === 1 || (nameLen === 2 && bytes[nameAt + 1] === DOT))) {
      return this.#add(buffer, sink);
    }
    this.#recordName.buffer = buffer;
    const slot = this.#lookup.find(fd, buffer.nameAddr, this.#recordName);
    if (slot < 0) {
      // A name is never dropped: one that is gone, or has no room, is given without attributes.
      return this.#add(buffer, sink);
    }
    const { entry } = op;
    this.#listings.counts(slot);
    this.#lookup.answer(entry, slot, directory, null);
    const { attr } = entry;
    const { nextLo, nextHi, type } = buffer;
    const added = sink.add(bytes, nameAt, nameLen, attr.inoLo, attr.inoHi, nextLo, nextHi, type, entry);
    if (!added) {
      this.#share.inodes.forget(slot, 1);
    }
    this.#listings.added(slot);
    return added;
  }
}
