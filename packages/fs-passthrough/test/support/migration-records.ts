/** The state of a share as records: what it tells, what it takes, and records made by hand. */
import { MAX_STATE_RECORD, type StateRecords } from '@oriel/fuse';
import { expect } from 'chai';
import { HandleRecord, InodeRecord, TablesRecord } from '../../src/migration/layout.ts';
import type { TestShare } from './share.ts';

/** What a share tells. */
export function told(share: TestShare): Uint8Array[] {
  using records: StateRecords = share.fs.migration!.save();
  const into = new Uint8Array(MAX_STATE_RECORD);
  const list: Uint8Array[] = [];
  for (let len = records.next(into); len !== 0; len = records.next(into)) {
    expect(len).to.be.greaterThan(0);
    list.push(into.slice(0, len));
  }
  return list;
}

/** @returns what the other share says: 0, or the first error */
export function take(share: TestShare, records: readonly Uint8Array[]): number {
  using taker = share.fs.migration!.load();
  for (const record of records) {
    const result = taker.take(record);
    if (result !== 0) return result;
  }
  return taker.end();
}

const viewOf = (record: Uint8Array): DataView => new DataView(record.buffer, record.byteOffset, record.length);

/** An inode's record. */
export function inode(path: string | Uint8Array, nodeid: number, type: number, lookups = 1, flags = 0): Uint8Array {
  const bytes = Buffer.from(path as Uint8Array);
  const record = new Uint8Array(InodeRecord.byteLength + bytes.length);
  const view = viewOf(record);
  InodeRecord.kind.set(view, 0, 2);
  InodeRecord.flags.set(view, 0, flags);
  InodeRecord.nodeid.set(view, 0, nodeid);
  InodeRecord.lookups.set(view, 0, lookups);
  InodeRecord.type.set(view, 0, type);
  InodeRecord.pathLen.set(view, 0, bytes.length);
  record.set(bytes, InodeRecord.byteLength);
  return record;
}

/** A handle's record. */
export function handle(fh: number, nodeid: number, flags: number): Uint8Array {
  const record = new Uint8Array(HandleRecord.byteLength);
  const view = viewOf(record);
  HandleRecord.kind.set(view, 0, 3);
  HandleRecord.flags.set(view, 0, flags);
  HandleRecord.fh.set(view, 0, fh);
  HandleRecord.nodeid.set(view, 0, nodeid);
  return record;
}

/** The first record. */
export function tables(inodeEnd = 100, inodeUses = 1, handleEnd = 100, handleUses = 1): Uint8Array {
  const record = new Uint8Array(TablesRecord.byteLength);
  const view = viewOf(record);
  TablesRecord.kind.set(view, 0, 1);
  TablesRecord.inodeEnd.set(view, 0, inodeEnd);
  TablesRecord.inodeUses.set(view, 0, inodeUses);
  TablesRecord.handleEnd.set(view, 0, handleEnd);
  TablesRecord.handleUses.set(view, 0, handleUses);
  return record;
}
