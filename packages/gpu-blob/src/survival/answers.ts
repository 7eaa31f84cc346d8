/** What requests were answered with, from their end until the driver has the answer. */
import type { Request } from '../control/request.ts';
import { RespMapInfo } from '../protocol/layout.ts';
import {
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import { ANSWER, type Found, type Records, VALUE } from './records.ts';

/** An answer of a process before. */
export interface KnownAnswer {
  readonly status: number;
  /** `map_info` of a RESP_OK_MAP_INFO, else 0. */
  readonly mapInfo: number;
}

/** Answers by the head of their chain, of the control queue. */
export class Answers {
  readonly #records: Records;
  readonly #byHead = new Map<number, number>();

  constructor(records: Records) {
    this.#records = records;
  }

  /** The answers that a process before left. */
  takeUp(found: readonly Found[]): void {
    for (const { record, key } of found) this.#byHead.set(key, record);
  }

  /** Stages an answer. One with other data than this is asked for anew instead: nothing changes by that. */
  note(request: Request, status: number): void {
    const isPlain = status === VIRTIO_GPU_RESP_OK_NODATA || status >= VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (!isPlain && status !== VIRTIO_GPU_RESP_OK_MAP_INFO) return;
    const mapInfo = status === VIRTIO_GPU_RESP_OK_MAP_INFO ? mapInfoOf(request.reply!) : 0;
    const { head, type, flags, fenceLo, fenceHi, ctxId } = request;
    const values = [type, flags, fenceLo, fenceHi, ctxId, status, mapInfo];
    this.#byHead.set(head, this.#records.add({ kind: ANSWER, key: head, values }));
  }

  /** The answer of a request that a process before had; null: it had none. */
  of({ head, type, flags, fenceLo, fenceHi, ctxId }: Request): KnownAnswer | null {
    const record = this.#byHead.get(head);
    if (record === undefined) return null;
    const value = (index: number): number => this.#records.get(record, VALUE + index);
    const same =
      value(0) === type && value(1) === flags && value(2) === fenceLo && value(3) === fenceHi && value(4) === ctxId;
    return same ? { status: value(5), mapInfo: value(6) } : null;
  }

  /** The driver has the answer. */
  delivered(head: number): void {
    const record = this.#byHead.get(head);
    if (record === undefined) return;
    this.#byHead.delete(head);
    this.#records.end(record);
  }

  /** Forgets the answers of chains that no request waits for: a kill came between their delivery and its note. */
  sweep(waiting: ReadonlySet<number>): void {
    for (const head of [...this.#byHead.keys()]) if (!waiting.has(head)) this.delivered(head);
  }
}

function mapInfoOf(reply: Uint8Array): number {
  return RespMapInfo.mapInfo.get(new DataView(reply.buffer, reply.byteOffset), 0);
}
